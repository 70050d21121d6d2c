//! An event's JSON as a tree that keeps the text of every value.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::malformed::{MAX_DEPTH, MAX_EVENT_BYTES, MalformedEvent, MalformedKind};
use crate::number::Number;
use guard_domain::{FieldPath, JsonError, PathStep, find_lone_surrogate, members};
use serde_json::value::RawValue;

/// A value and the text it was read from.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    pub(crate) raw: &'a str,
    pub(crate) value: Value<'a>,
}

#[derive(Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// The text of the number.
    Number(&'a str),
    String(Cow<'a, str>),
    Array(Vec<Document<'a>>),
    /// Members in the order they were sent; of repeated keys the last one counts.
    Object(Vec<(Cow<'a, str>, Document<'a>)>),
}

impl<'a> Document<'a> {
    /// Reads the text of an event.
    pub(crate) fn parse(text: &'a str) -> Result<Self, MalformedEvent> {
        if text.len() > MAX_EVENT_BYTES {
            return Err(MalformedEvent::new(
                MalformedKind::TooLarge,
                MAX_EVENT_BYTES,
            ));
        }
        let root: &RawValue =
            serde_json::from_str(text).map_err(|error| syntax(text, &error.into()))?;
        if let Some(offset) = find_lone_surrogate(text) {
            return Err(MalformedEvent::new(MalformedKind::LoneSurrogate, offset));
        }
        if !root.get().starts_with('{') {
            return Err(MalformedEvent::new(MalformedKind::NotAnObject, 0));
        }
        let reader = Reader { text };
        reader.read(root.get(), 0)
    }

    /// The value at a path; `None` if the event has no such value.
    pub(crate) fn find(&self, path: &FieldPath) -> Option<&Self> {
        path.steps()
            .iter()
            .try_fold(self, |at, step| match (step, &at.value) {
                (PathStep::Key(key), _) => at.member(key),
                (PathStep::Index(index), Value::Array(items)) => items.get(*index),
                _ => None,
            })
    }

    /// The member of an object with this key.
    pub(crate) fn member(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Object(members) => members
                .iter()
                .rev()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text, if it is a string.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// One text for each value, whatever way it was written: numbers by value, strings without escapes of choice, objects
    /// by key.
    pub(crate) fn canonical(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match &self.value {
            Value::Null | Value::Bool(_) => self.raw.to_owned(),
            Value::Number(text) => Number::parse(text).to_string(),
            Value::String(text) => quoted(text),
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(Self::canonical).collect();
                format!("[{}]", items.join(","))
            }
            Value::Object(members) => {
                // Of repeated keys the last one is kept.
                let members: BTreeMap<&str, &Self> = members
                    .iter()
                    .map(|(key, value)| (key.as_ref(), value))
                    .collect();
                let members: Vec<_> = members
                    .into_iter()
                    .map(|(key, value)| format!("{}:{}", quoted(key), value.canonical()))
                    .collect();
                format!("{{{}}}", members.join(","))
            }
        }
    }
}

/// Reads the bytes of an event.
pub(crate) fn parse_bytes(event: &[u8]) -> Result<Document<'_>, MalformedEvent> {
    let text = std::str::from_utf8(event)
        .map_err(|error| MalformedEvent::new(MalformedKind::Utf8, error.valid_up_to()))?;
    Document::parse(text)
}

/// Opens the values of an event, one level at a time.
struct Reader<'a> {
    text: &'a str,
}

impl<'a> Reader<'a> {
    /// A value with so many containers around it.
    fn read(&self, raw: &'a str, depth: usize) -> Result<Document<'a>, MalformedEvent> {
        if raw.starts_with(['{', '[']) && depth >= MAX_DEPTH {
            let offset = raw.as_ptr() as usize - self.text.as_ptr() as usize;
            return Err(MalformedEvent::new(MalformedKind::TooDeep, offset));
        }
        let wrong = |error: JsonError| syntax(self.text, &error);
        let value = match raw.as_bytes().first() {
            Some(b'{') => {
                let members = members(raw).map_err(wrong)?.0.into_iter();
                let read = |(key, value): (_, &'a RawValue)| {
                    Ok::<_, MalformedEvent>((key, self.read(value.get(), depth + 1)?))
                };
                Value::Object(members.map(read).collect::<Result<_, _>>()?)
            }
            Some(b'[') => {
                let items: Vec<&'a RawValue> =
                    serde_json::from_str(raw).map_err(|error| wrong(error.into()))?;
                let read = |item: &'a RawValue| self.read(item.get(), depth + 1);
                Value::Array(items.into_iter().map(read).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Value::String(string(raw).map_err(wrong)?),
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'n') => Value::Null,
            _ => Value::Number(raw),
        };
        Ok(Document { raw, value })
    }
}

/// A syntax error, at its offset.
fn syntax(text: &str, error: &JsonError) -> MalformedEvent {
    let lines: usize = text
        .split_inclusive('\n')
        .take(error.line.saturating_sub(1))
        .map(str::len)
        .sum();
    let offset = (lines + error.column.saturating_sub(1)).min(text.len());
    MalformedEvent::new(MalformedKind::Syntax, offset)
}

/// The text of a JSON string, borrowed where it has no escapes.
fn string(raw: &str) -> Result<Cow<'_, str>, JsonError> {
    let inner = raw
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        _ => Ok(Cow::Owned(serde_json::from_str(raw)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn find(text: &str, path: &str) -> Option<String> {
        let document = Document::parse(text).unwrap();
        document
            .find(&FieldPath::parse(path).unwrap())
            .map(|found| found.raw.to_owned())
    }

    #[test]
    fn the_last_of_repeated_keys_counts_with_its_children() {
        let text = r#"{"context":{"a":{"x":1}, "a":{"y":2}}}"#;
        assert_eq!(find(text, "context.a.x"), None);
        assert_eq!(find(text, "context.a.y").as_deref(), Some("2"));
    }

    #[test]
    fn escaped_keys_are_found_and_arrays_are_indexed() {
        let text = r#"{"context":{"\u0061.b":[10,[20,3e400]]}}"#;
        assert_eq!(
            find(text, "context.\"a.b\"[1][1]").as_deref(),
            Some("3e400")
        );
        assert_eq!(find(text, "context.\"a.b\"[2]"), None);
        assert_eq!(find(text, "context.\"a.b\".x"), None);
    }

    #[test]
    fn malformed_events_are_errors() {
        #[track_caller]
        fn check(text: &str, kind: MalformedKind, offset: usize) {
            let error = Document::parse(text).unwrap_err();
            assert_eq!((error.kind(), error.offset()), (kind, offset));
        }
        check("{", MalformedKind::Syntax, 0);
        check("{\n\"a\":}", MalformedKind::Syntax, 6);
        check("[]", MalformedKind::NotAnObject, 0);
        check(r#"{"a":"\ud800"}"#, MalformedKind::LoneSurrogate, 6);
        let nested = |levels| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        assert!(Document::parse(&nested(64)).is_ok());
        check(&nested(65), MalformedKind::TooDeep, 64 * 5);
        let bomb = "[".repeat(100_000);
        check(&bomb, MalformedKind::Syntax, 99_999);
    }
}
