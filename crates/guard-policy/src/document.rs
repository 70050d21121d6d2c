//! An event's JSON as a tree that keeps the text of every value.

use std::borrow::Cow;
use std::collections::BTreeMap;

use guard_domain::{FieldPath, JsonError, PathStep, find_lone_surrogate, members};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::number::Number;

/// How deep an event may nest.
const MAX_DEPTH: usize = 64;

/// An event whose text cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MalformedEvent {
    /// The text is not JSON.
    #[error("malformed JSON: {0}")]
    Json(#[from] JsonError),
    /// A string holds half of a surrogate pair.
    #[error("half of a surrogate pair at byte {offset}")]
    LoneSurrogate {
        /// Where the escape begins, in bytes.
        offset: usize,
    },
    /// It is no object.
    #[error("an event is a JSON object")]
    NotAnObject,
    /// It nests too deep.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

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
        let root: &RawValue = serde_json::from_str(text).map_err(JsonError::from)?;
        if let Some(offset) = find_lone_surrogate(text) {
            return Err(MalformedEvent::LoneSurrogate { offset });
        }
        if !root.get().starts_with('{') {
            return Err(MalformedEvent::NotAnObject);
        }
        Self::read(root.get(), 0)
    }

    fn read(raw: &'a str, depth: usize) -> Result<Self, MalformedEvent> {
        if depth > MAX_DEPTH {
            return Err(MalformedEvent::TooDeep);
        }
        let value = match raw.as_bytes().first() {
            Some(b'{') => {
                let read = |(key, value): (_, &'a RawValue)| {
                    Ok::<_, MalformedEvent>((key, Self::read(value.get(), depth + 1)?))
                };
                Value::Object(
                    members(raw)?
                        .0
                        .into_iter()
                        .map(read)
                        .collect::<Result<_, _>>()?,
                )
            }
            Some(b'[') => {
                let items: Vec<&'a RawValue> =
                    serde_json::from_str(raw).map_err(JsonError::from)?;
                let read = |item: &'a RawValue| Self::read(item.get(), depth + 1);
                Value::Array(items.into_iter().map(read).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Value::String(string(raw)?),
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'n') => Value::Null,
            _ => Value::Number(raw),
        };
        Ok(Self { raw, value })
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
        use MalformedEvent::*;
        assert!(matches!(Document::parse("{"), Err(Json(_))));
        assert!(matches!(Document::parse("[]"), Err(NotAnObject)));
        assert!(matches!(
            Document::parse(r#"{"a":"\ud800"}"#),
            Err(LoneSurrogate { offset: 6 })
        ));
        let deep = format!("{}1{}", r#"{"a":"#.repeat(70), "}".repeat(70));
        assert!(matches!(Document::parse(&deep), Err(TooDeep)));
        let bomb = "[".repeat(100_000);
        assert!(matches!(Document::parse(&bomb), Err(Json(_))));
    }
}
