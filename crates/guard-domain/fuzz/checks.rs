//! What must hold of any bytes. The fuzz target and a test over its corpus use it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is what is looked for"
)]

use chrono::{DateTime, TimeDelta, Utc};
use guard_domain::{
    Event, EventError, EventId, EventType, EventTypes, MAX_CONTEXT_BYTES, MAX_CONTEXT_DEPTH,
    members, timestamp,
};

/// The server's time: in the week of the corpus.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_140_000, 0).expect("a moment")
}

/// Reads an event as intake does.
pub(crate) fn event_body(data: &[u8]) {
    let extra = EventType::parse("disk_full").expect("a type");
    let types = EventTypes::with_extra([extra]);
    match Event::parse(data, &types, now()) {
        Ok(event) => accepted(&event, data, &types),
        Err(EventError::Malformed(error)) => {
            assert!(error.line >= 1 && error.column >= 1, "{error}");
            assert!(
                !error.detail.is_empty() && error.detail.len() < 400,
                "{error}"
            );
        }
        Err(EventError::Invalid(errors)) => {
            // Twenty unknown fields and the six known ones.
            assert!((1..=26).contains(&errors.len()), "{errors:?}");
            for error in errors {
                assert!(error.pointer.is_empty() || error.pointer.starts_with('/'));
                assert!(
                    !error.detail.is_empty() && error.detail.len() < 1000,
                    "{error:?}"
                );
            }
        }
    }
}

fn accepted(event: &Event, data: &[u8], types: &EventTypes) {
    assert_eq!(event.body().as_bytes(), data, "kept as it was sent");
    let again = Event::parse(event.body().as_bytes(), types, now());
    assert_eq!(
        again.as_ref(),
        Ok(event),
        "what is kept is read as the same"
    );

    assert!(types.find(event.event_type().as_str()).is_ok());
    let source = event.source().as_str();
    assert!((1..=128).contains(&source.chars().count()) && !source.contains('\0'));
    if let Some(id) = event.id() {
        assert!((1..=255).contains(&id.chars().count()) && !id.contains('\0'));
    }
    assert!(event.timestamp() <= now() + TimeDelta::hours(24));
    assert_eq!(
        timestamp::parse(event.timestamp_text()),
        Some(event.timestamp())
    );
    let context = event.context();
    assert!(context.starts_with('{') && context.ends_with('}'));
    assert!(context.len() <= MAX_CONTEXT_BYTES && depth(context) <= MAX_CONTEXT_DEPTH);

    // What is shown of it has the guard's id beside the sender's, and every other value as it was sent.
    let id = EventId::from_uuid(uuid::Uuid::nil());
    let shown = Event::with_identity(event.body(), id, now());
    let shown = members(&shown).expect("JSON").0;
    let value = |name: &str| {
        let mut found = shown.iter().filter(|(key, _)| key == name);
        let value = found.next().expect("a value").1.get();
        assert!(found.next().is_none(), "`{name}` is shown twice");
        value
    };
    assert_eq!(value("id"), r#""00000000-0000-0000-0000-000000000000""#);
    assert_eq!(value("context"), context);
    for (key, sent) in members(event.body()).expect("JSON").0 {
        let name = if key == "id" {
            "sender_id"
        } else {
            key.as_ref()
        };
        assert_eq!(value(name), sent.get());
    }
    // `received_at`, `sender_id`, `id` and the five fields that every event has.
    assert_eq!(shown.len(), 8);
}

/// How many containers are open at once, at most.
fn depth(json: &str) -> usize {
    let (mut open, mut deepest, mut bytes) = (0_usize, 0, json.bytes());
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open -= 1,
            b'"' => loop {
                match bytes.next() {
                    Some(b'\\') => drop(bytes.next()),
                    Some(b'"') | None => break,
                    Some(_) => {}
                }
            },
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}
