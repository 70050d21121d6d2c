//! An event as its sender wrote it, checked.

mod fields;

use std::ops::Range;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::json::{self, JsonError};
use crate::{EventId, EventType, EventTypes, Severity, Source, timestamp};
use fields::Fields;

/// The largest body of one event, in bytes.
pub const MAX_BODY_BYTES: usize = 128 * 1024;
/// The largest `context`, in bytes as sent.
pub const MAX_CONTEXT_BYTES: usize = 64 * 1024;
/// The deepest nesting of `context`; the context itself is level 1.
pub const MAX_CONTEXT_DEPTH: usize = 32;
/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where: a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong and what would be right.
    pub detail: String,
}

impl FieldError {
    /// An error at a pointer.
    #[must_use]
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
        }
    }
}

/// Why a text is not an event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EventError {
    /// Not JSON, not UTF-8, or a string that holds half a surrogate pair.
    #[error("malformed JSON: {0}")]
    Malformed(#[from] JsonError),
    /// JSON, but not an event: every field that is wrong.
    #[error("{} of the event's fields are wrong", .0.len())]
    Invalid(Vec<FieldError>),
}

/// Something that happened, as its sender described it.
///
/// The text that was sent is kept whole: no digit, no key order and no repetition is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    event_type: EventType,
    severity: Severity,
    source: Source,
    timestamp: DateTime<Utc>,
    timestamp_text: Box<str>,
    id: Option<Box<str>>,
    context: Range<usize>,
    body: Box<str>,
}

impl Event {
    /// Reads an event. `now` is the server's time: a timestamp more than 24 hours ahead of it is refused.
    ///
    /// # Errors
    /// [`EventError::Malformed`] for bytes that are not JSON, [`EventError::Invalid`] with every wrong field otherwise.
    pub fn parse(body: &[u8], types: &EventTypes, now: DateTime<Utc>) -> Result<Self, EventError> {
        let text = std::str::from_utf8(body).map_err(|error| JsonError {
            detail: format!("invalid UTF-8 at byte {}", error.valid_up_to()),
            line: 1,
            column: error.valid_up_to() + 1,
        })?;
        if let Ok(members) = json::members(text)
            && json::find_lone_surrogate(text).is_none()
        {
            return Fields::collect(members).check(text, types, now);
        }
        // It is no event: what is wrong is to be said.
        let object: &RawValue = serde_json::from_str(text).map_err(JsonError::from)?;
        if let Some(offset) = json::find_lone_surrogate(text) {
            return Err(EventError::Malformed(JsonError {
                detail: format!("half of a surrogate pair at byte {offset}"),
                line: 1 + text
                    .get(..offset)
                    .map_or(0, |before| before.matches('\n').count()),
                column: 1 + text.get(..offset).map_or(0, |before| {
                    before.len() - before.rfind('\n').map_or(0, |newline| newline + 1)
                }),
            }));
        }
        if !object.get().starts_with('{') {
            let error = FieldError::new("", "an event is a JSON object");
            return Err(EventError::Invalid(vec![error]));
        }
        Fields::collect(json::members(object.get())?).check(text, types, now)
    }

    /// What kind of thing happened.
    #[must_use]
    pub const fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.severity
    }

    /// Who says so.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// When it happened, by the sender's clock.
    #[must_use]
    pub const fn timestamp(&self) -> DateTime<Utc> {
        self.timestamp
    }

    /// The timestamp as it was written.
    #[must_use]
    pub fn timestamp_text(&self) -> &str {
        &self.timestamp_text
    }

    /// The sender's own id for this event.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The `context` object, as the text that was sent.
    #[must_use]
    pub fn context(&self) -> &str {
        self.body.get(self.context.clone()).unwrap_or("{}")
    }

    /// The whole event, as the text that was sent.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The text of an event, `body`, with what the guard knows of it: `id` and `received_at` are the guard's own, the
    /// sender's id becomes `sender_id` (`null` if there is none). Every other value stays as the text that was sent.
    #[must_use]
    pub fn with_identity(body: &str, id: EventId, received_at: DateTime<Utc>) -> String {
        let fields = json::members(body).unwrap_or_default().0;
        let mut sender_id = "null";
        let mut text = format!(
            r#"{{"id":"{id}","received_at":"{}""#,
            timestamp::format(received_at)
        );
        for (key, value) in &fields {
            match key.as_ref() {
                "id" => sender_id = value.get(),
                field => {
                    text.push_str(&format!(r#","{field}":{}"#, value.get()));
                }
            }
        }
        text.push_str(&format!(r#","sender_id":{sender_id}}}"#));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::fields::MAX_ERRORS;
    use super::*;
    use chrono::TimeZone;

    fn parse(body: &str) -> Result<Event, EventError> {
        let now = Utc.with_ymd_and_hms(2026, 11, 20, 3, 2, 0).unwrap();
        Event::parse(body.as_bytes(), &EventTypes::default(), now)
    }

    fn with(field: &str, value: &str) -> String {
        let mut fields = vec![
            ("event_type", r#""backup_failed""#),
            ("severity", r#""high""#),
            ("source", r#""sentinel""#),
            ("timestamp", r#""2026-11-20T03:01:00.123456""#),
            ("context", r#"{"retry_count": 0}"#),
        ];
        fields.retain(|(name, _)| *name != field);
        if !value.is_empty() {
            fields.push((field, value));
        }
        let members: Vec<_> = fields
            .iter()
            .map(|(k, v)| format!(r#""{k}": {v}"#))
            .collect();
        format!("{{{}}}", members.join(", "))
    }

    #[track_caller]
    fn refused(body: &str, pointer: &str, words: &str) {
        match parse(body) {
            Err(EventError::Invalid(errors)) => {
                let found = errors.iter().find(|error| error.pointer == pointer);
                let detail = &found.unwrap_or_else(|| panic!("{errors:?}")).detail;
                assert!(detail.contains(words), "{detail}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sentinels_event_is_read_and_kept_as_sent() {
        let body = with("context", "{\"n\": 1.50,  \"n\":2e400}");
        let event = parse(&body).unwrap();
        assert_eq!(event.context(), "{\"n\": 1.50,  \"n\":2e400}");
        assert_eq!(event.body(), body);
        assert_eq!(event.timestamp_text(), "2026-11-20T03:01:00.123456");
        assert_eq!(event.id(), None);
        assert_eq!(parse(&with("id", r#""a-1""#)).unwrap().id(), Some("a-1"));
        assert_eq!(parse(&with("id", "null")).unwrap().id(), None);
    }

    #[test]
    fn the_guards_identity_goes_beside_what_was_sent() {
        let body = with("id", r#""a-1""#);
        let id = EventId::from_uuid(uuid::Uuid::nil());
        let text = Event::with_identity(&body, id, DateTime::UNIX_EPOCH);
        assert_eq!(
            text,
            r#"{"id":"00000000-0000-0000-0000-000000000000","received_at":"1970-01-01T00:00:00.000000Z","event_type":"backup_failed","severity":"high","source":"sentinel","timestamp":"2026-11-20T03:01:00.123456","context":{"retry_count": 0},"sender_id":"a-1"}"#
        );
    }

    #[test]
    fn each_wrong_field_is_named_with_what_would_be_right() {
        refused(
            &with("event_type", r#""backup_faild""#),
            "/event_type",
            "did you mean `backup_failed`",
        );
        refused(
            &with("severity", r#""hihg""#),
            "/severity",
            "did you mean `high`",
        );
        refused(
            &with("severity", "3"),
            "/severity",
            "a string is expected, not a number",
        );
        refused(&with("source", r#""""#), "/source", "1 to 128");
        refused(&with("source", r#""a\u0000""#), "/source", "NUL");
        refused(
            &with("timestamp", r#""yesterday""#),
            "/timestamp",
            "RFC 3339",
        );
        refused(
            &with("timestamp", r#""2026-11-21T03:02:01Z""#),
            "/timestamp",
            "ahead",
        );
        refused(&with("context", "[]"), "/context", "an object is expected");
        refused(&with("context", ""), "/context", "required");
        refused(&with("contxt", "1"), "/contxt", "did you mean `context`");
        refused(&with("id", r#""""#), "/id", "1 to 255");
        refused("[]", "", "object");
    }

    #[test]
    fn all_errors_come_at_once() {
        let Err(EventError::Invalid(errors)) = parse(r#"{"severity": 1, "sverity": 2}"#) else {
            panic!("accepted")
        };
        let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(
            pointers,
            [
                "/sverity",
                "/event_type",
                "/severity",
                "/source",
                "/timestamp",
                "/context"
            ]
        );
    }

    #[test]
    fn errors_are_bounded() {
        let fields: Vec<_> = (0..1000).map(|i| format!(r#""x{i}":1"#)).collect();
        let Err(EventError::Invalid(errors)) = parse(&format!("{{{}}}", fields.join(","))) else {
            panic!("accepted")
        };
        assert_eq!(errors.len(), MAX_ERRORS + 5);
        let long = with("event_type", &format!("\"{}\"", "x".repeat(10_000)));
        let Err(EventError::Invalid(errors)) = parse(&long) else {
            panic!("accepted")
        };
        assert!(errors[0].detail.len() < 400);
    }

    #[test]
    fn repeated_top_level_fields_are_refused_and_repeated_context_keys_are_not() {
        let body = with("severity", r#""high", "severity": "low""#);
        refused(&body, "/severity", "twice");
        assert!(parse(&with("context", r#"{"a": 1, "a": 2}"#)).is_ok());
    }

    #[test]
    fn bounds_are_inclusive() {
        let padding = |size: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(size - 8));
        assert!(parse(&with("context", &padding(MAX_CONTEXT_BYTES))).is_ok());
        refused(
            &with("context", &padding(MAX_CONTEXT_BYTES + 1)),
            "/context",
            "65537",
        );
        let nested = |depth: usize| {
            format!(
                r#"{}{}"#,
                r#"{"a":"#.repeat(depth),
                "1".to_owned() + &"}".repeat(depth)
            )
        };
        assert!(parse(&with("context", &nested(MAX_CONTEXT_DEPTH))).is_ok());
        let pointer = format!("/context{}", "/a".repeat(MAX_CONTEXT_DEPTH));
        refused(
            &with("context", &nested(MAX_CONTEXT_DEPTH + 1)),
            &pointer,
            "32 levels",
        );
    }

    #[test]
    fn malformed_bytes_say_where() {
        for bad in [
            "",
            "{",
            "{\"a\":}",
            "{\"severity\": \"high\"} x",
            "{'a': 1}",
        ] {
            assert!(matches!(parse(bad), Err(EventError::Malformed(_))), "{bad}");
        }
        let surrogate = parse("{\n \"source\": \"\\ud800\"}").unwrap_err();
        assert_eq!(
            surrogate.to_string(),
            "malformed JSON: half of a surrogate pair at byte 14 at line 2 column 13"
        );
        let bytes = Event::parse(
            b"{\"a\xff\"}",
            &EventTypes::default(),
            Utc.timestamp_opt(0, 0).unwrap(),
        );
        assert!(matches!(bytes, Err(EventError::Malformed(_))));
    }
}
