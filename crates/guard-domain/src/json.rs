//! Looking into JSON text without losing any of it.
//!
//! `serde_json::Value` loses digits of large numbers and the order and repetition of keys, so values are kept as the text
//! that was sent ([`RawValue`]) and opened one level at a time.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

/// JSON text that is malformed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail} at line {line} column {column}")]
pub struct JsonError {
    /// What is wrong.
    pub detail: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        let text = error.to_string();
        let detail = text
            .split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned();
        Self {
            detail,
            // At the very beginning of a line it counts from 0.
            line: error.line().max(1),
            column: error.column().max(1),
        }
    }
}

/// The members of an object in the order they were sent, repeated keys included.
#[derive(Debug, Default)]
pub struct JsonObject<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for JsonObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = JsonObject<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    members.push((key.0, map.next_value()?));
                }
                Ok(JsonObject(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A key that borrows from the text unless it has escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// The members of an object.
///
/// # Errors
/// [`JsonError`] when the text is not one well-formed JSON object.
pub fn members(text: &str) -> Result<JsonObject<'_>, JsonError> {
    serde_json::from_str(text).map_err(JsonError::from)
}

/// The byte offset of the first `\u` escape that is half of a surrogate pair without its other half, if there is one.
///
/// The text must be well-formed JSON otherwise. Such an escape stands for no character, so no string can hold it.
#[must_use]
pub fn find_lone_surrogate(text: &str) -> Option<usize> {
    let mut rest = text;
    let mut offset = 0;
    while let Some(at) = rest.find('\\') {
        let escape = rest.get(at..)?;
        let length = match escape_unit(escape) {
            None => 2,
            Some(0xDC00..=0xDFFF) => return Some(offset + at),
            Some(0xD800..=0xDBFF) => match escape.get(6..).and_then(escape_unit) {
                Some(0xDC00..=0xDFFF) => 12,
                _ => return Some(offset + at),
            },
            Some(_) => 6,
        };
        rest = escape.get(length..)?;
        offset += at + length;
    }
    None
}

/// The UTF-16 unit of the `\uXXXX` escape that the text begins with.
fn escape_unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// Where a value is nested deeper than `limit` levels: the JSON pointer of the first container beyond it.
///
/// The text must be well-formed JSON; its outermost container is level 1.
pub(crate) fn find_too_deep(text: &str, limit: usize) -> Option<String> {
    // Few have so many brackets in all; counting them takes a tenth of the time that looking at strings takes.
    let opening = text.bytes().filter(|byte| matches!(byte, b'{' | b'['));
    if opening.count() <= limit || nesting(text) <= limit {
        return None;
    }
    let mut pointer = String::new();
    descend(text, limit, &mut pointer).then_some(pointer)
}

/// How many containers are open at once, at most.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Walks to the first container beyond `levels`, leaving its pointer behind.
fn descend(text: &str, levels: usize, pointer: &mut String) -> bool {
    let children: Vec<(String, &str)> = if text.starts_with('{') {
        let object = members(text).unwrap_or_default();
        object
            .0
            .into_iter()
            .map(|(key, value)| (escape_pointer(&key), value.get()))
            .collect()
    } else if text.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
        items
            .into_iter()
            .enumerate()
            .map(|(i, value)| (i.to_string(), value.get()))
            .collect()
    } else {
        return false;
    };
    if levels == 0 {
        return true;
    }
    for (token, child) in children {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&token);
        if descend(child, levels - 1, pointer) {
            return true;
        }
        pointer.truncate(length);
    }
    false
}

/// Escapes a key for a JSON pointer (RFC 6901).
pub(crate) fn escape_pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_from_one() {
        for text in ["", "\n"] {
            let error = members(text).unwrap_err();
            assert!(error.line >= 1 && error.column >= 1, "{error}");
        }
    }

    #[test]
    fn surrogates_need_their_other_half() {
        assert_eq!(
            find_lone_surrogate(r#""\ud83d\ude00 \u00e9 \\ud800""#),
            None
        );
        assert_eq!(find_lone_surrogate(r#""\ud83d""#), Some(1));
        assert_eq!(find_lone_surrogate(r#""ab\ude00""#), Some(3));
        assert_eq!(find_lone_surrogate(r#""\ud83d\n""#), Some(1));
        assert_eq!(find_lone_surrogate(r#""\ud83d\ud83d\ude00""#), Some(1));
    }

    #[test]
    fn depth_is_counted_outside_strings() {
        assert_eq!(find_too_deep(r#"{"a":"[[[[[["}"#, 1), None);
        assert_eq!(find_too_deep(r#"{"a":{"b/c":[1]}}"#, 3), None);
        assert_eq!(
            find_too_deep(r#"{"x":[0],"a":{"b/c":[1]}}"#, 2),
            Some("/a/b~1c".to_owned())
        );
    }

    #[test]
    fn members_keep_order_repeats_and_digits() {
        let object = members(r#"{"b":1e999999,"a":2,"b":"\u00e9"}"#).unwrap();
        let seen: Vec<_> = object
            .0
            .iter()
            .map(|(k, v)| (k.as_ref(), v.get()))
            .collect();
        assert_eq!(seen, [("b", "1e999999"), ("a", "2"), ("b", r#""\u00e9""#)]);
    }
}
