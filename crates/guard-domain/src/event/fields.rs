//! The fields of an event, read one by one so that every wrong one is found.

use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::value::RawValue;

use super::{Event, EventError, FieldError, MAX_CONTEXT_BYTES, MAX_CONTEXT_DEPTH};
use crate::json::JsonObject;
use crate::{EventTypes, Severity, Source, json, suggest, timestamp};

/// The longest `id`, in characters.
const MAX_ID: usize = 255;
/// How far ahead of the server's clock a timestamp may be.
const MAX_AHEAD: TimeDelta = TimeDelta::hours(24);

/// How many wrong fields are named at most, beside the known ones.
pub(super) const MAX_ERRORS: usize = 20;

const FIELDS: [&str; 6] = [
    "event_type",
    "severity",
    "source",
    "timestamp",
    "context",
    "id",
];

/// The raw fields of an event, and what was wrong so far.
#[derive(Default)]
pub(super) struct Fields<'a> {
    values: [Option<&'a RawValue>; FIELDS.len()],
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    pub(super) fn collect(members: JsonObject<'a>) -> Self {
        let mut fields = Self::default();
        for (key, value) in members.0 {
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
        fields
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

    pub(super) fn check(
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
