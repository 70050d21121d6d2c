//! An event as its sender wrote it, checked.

use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::json::{self, JsonError};
use crate::{EventId, EventType, EventTypes, Severity, Source, suggest, timestamp};

/// The largest body of one event, in bytes.
pub const MAX_BODY_BYTES: usize = 128 * 1024;
/// The largest `context`, in bytes as sent.
pub const MAX_CONTEXT_BYTES: usize = 64 * 1024;
/// The deepest nesting of `context`; the context itself is level 1.
pub const MAX_CONTEXT_DEPTH: usize = 32;
/// The longest `id`, in characters.
const MAX_ID: usize = 255;
/// How far ahead of the server's clock a timestamp may be.
const MAX_AHEAD: TimeDelta = TimeDelta::hours(24);

/// How many wrong fields are named at most, beside the known ones.
const MAX_ERRORS: usize = 20;

const FIELDS: [&str; 6] = [
    "event_type",
    "severity",
    "source",
    "timestamp",
    "context",
    "id",
];

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
        Fields::collect(object.get())?.check(text, types, now)
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

/// The raw fields of an event, and what was wrong so far.
#[derive(Default)]
struct Fields<'a> {
    values: [Option<&'a RawValue>; FIELDS.len()],
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    fn collect(object: &'a str) -> Result<Self, EventError> {
        let mut fields = Self::default();
        for (key, value) in json::members(object)?.0 {
            let slot = FIELDS
                .iter()
                .zip(&mut fields.values)
                .find(|(name, _)| **name == key);
            let problem = match slot {
                Some((_, slot @ None)) => {
                    *slot = Some(value);
                    continue;
                }
                Some((name, Some(_))) => format!("field `{name}` is given twice"),
                None => {
                    let nearest = suggest::nearest(&key, FIELDS);
                    format!(
                        "unknown field `{}`{}",
                        suggest::quote(&key),
                        suggest::hint(nearest)
                    )
                }
            };
            let pointer = format!("/{}", json::escape_pointer(&suggest::quote(&key)));
            if fields.errors.len() < MAX_ERRORS {
                fields.errors.push(FieldError::new(pointer, problem));
            }
        }
        Ok(fields)
    }

    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        FIELDS
            .iter()
            .zip(self.values)
            .find_map(|(field, value)| (*field == name).then_some(value))
            .flatten()
    }

    fn refuse(&mut self, name: &str, detail: impl Into<String>) {
        self.errors
            .push(FieldError::new(format!("/{name}"), detail));
    }

    /// A required field that must be a string, read by `parse`.
    fn string<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let outcome = match self.raw(name) {
            None => Err(format!("field `{name}` is required")),
            Some(raw) => match serde_json::from_str::<String>(raw.get()) {
                Err(_) => Err(format!("a string is expected, not {}", kind(raw.get()))),
                Ok(text) => parse(&text),
            },
        };
        outcome.map_err(|detail| self.refuse(name, detail)).ok()
    }

    fn timestamp(&mut self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, Box<str>)> {
        self.string("timestamp", |text| {
            let moment = timestamp::parse(text).ok_or_else(|| {
                format!(
                    "`{}` is not an RFC 3339 timestamp such as 2026-11-20T03:01:00Z",
                    suggest::quote(text)
                )
            })?;
            if moment > now + MAX_AHEAD {
                return Err(format!(
                    "`{text}` is more than 24 hours ahead of the server, whose time is {}",
                    timestamp::format(now)
                ));
            }
            Ok((moment, text.into()))
        })
    }

    fn id(&mut self) -> Option<Box<str>> {
        self.raw("id").filter(|raw| raw.get() != "null")?;
        self.string("id", |text| {
            if text.is_empty() || text.chars().count() > MAX_ID || text.contains('\0') {
                return Err(format!("an id has 1 to {MAX_ID} characters and no NUL"));
            }
            Ok(text.into())
        })
    }

    /// The context's place in `body`.
    fn context(&mut self, body: &str) -> Option<Range<usize>> {
        let Some(raw) = self.raw("context") else {
            self.refuse("context", "field `context` is required");
            return None;
        };
        let text = raw.get();
        if !text.starts_with('{') {
            self.refuse(
                "context",
                format!("an object is expected, not {}", kind(text)),
            );
        } else if text.len() > MAX_CONTEXT_BYTES {
            let size = text.len();
            self.refuse(
                "context",
                format!("at most {MAX_CONTEXT_BYTES} bytes are allowed, not {size}"),
            );
        } else if let Some(pointer) = json::find_too_deep(text, MAX_CONTEXT_DEPTH) {
            self.refuse(
                &format!("context{pointer}"),
                format!("nested deeper than {MAX_CONTEXT_DEPTH} levels"),
            );
        }
        let start = text.as_ptr() as usize - body.as_ptr() as usize;
        Some(start..start + text.len())
    }

    fn check(
        mut self,
        body: &str,
        types: &EventTypes,
        now: DateTime<Utc>,
    ) -> Result<Event, EventError> {
        let event_type = self.string("event_type", |text| {
            types
                .find(text)
                .cloned()
                .map_err(|unknown| unknown.to_string())
        });
        let severity = self.string("severity", |text| {
            Severity::parse(text).map_err(|unknown| unknown.to_string())
        });
        let source = self.string("source", |text| {
            Source::parse(text).map_err(|error| error.to_string())
        });
        let timestamp = self.timestamp(now);
        let id = self.id();
        let context = self.context(body);
        match (event_type, severity, source, timestamp, context) {
            (
                Some(event_type),
                Some(severity),
                Some(source),
                Some((timestamp, timestamp_text)),
                Some(context),
            ) if self.errors.is_empty() => Ok(Event {
                event_type,
                severity,
                source,
                timestamp,
                timestamp_text,
                id,
                context,
                body: body.into(),
            }),
            _ => Err(EventError::Invalid(self.errors)),
        }
    }
}

/// What a JSON text is, for a sentence.
fn kind(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
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
