//! JSON text to nodes. Values borrow from the text, so that their address tells their place.

use std::borrow::Cow;
use std::collections::HashSet;

use guard_domain::{JsonError, find_lone_surrogate, members};
use serde_json::value::RawValue;

use super::node::{MAX_DEPTH, Member, Node, NodeValue, Place};

type Failure = (Place, String);

pub(crate) fn parse(text: &str) -> Result<Node, Failure> {
    let mut reader = Reader {
        text,
        offset: 0,
        place: Place::START,
    };
    if let Some(offset) = find_lone_surrogate(text) {
        return Err((reader.place_at(offset), "half of a surrogate pair".into()));
    }
    let root: &RawValue =
        serde_json::from_str(text).map_err(|error| failure(&JsonError::from(error)))?;
    reader.node(root.get(), 0)
}

fn failure(error: &JsonError) -> Failure {
    let place = Place {
        line: error.line.max(1),
        column: error.column.max(1),
    };
    (place, format!("this is not JSON: {}", error.detail))
}

/// Walks through the text once, from the front to the back: so does its place.
struct Reader<'a> {
    text: &'a str,
    offset: usize,
    place: Place,
}

impl<'a> Reader<'a> {
    /// The place of an offset, which is not before that of the last call.
    fn place_at(&mut self, offset: usize) -> Place {
        let passed = self.text.get(self.offset..offset).unwrap_or_default();
        match passed.rfind('\n') {
            None => self.place.column += passed.chars().count(),
            Some(newline) => {
                self.place.line += passed.matches('\n').count();
                let line = passed.get(newline + 1..).unwrap_or_default();
                self.place.column = 1 + line.chars().count();
            }
        }
        self.offset = self.offset.max(offset);
        self.place
    }

    /// The place of a part of the text.
    fn place_of(&mut self, part: &str) -> Place {
        self.place_at(part.as_ptr() as usize - self.text.as_ptr() as usize)
    }

    fn node(&mut self, raw: &'a str, depth: usize) -> Result<Node, Failure> {
        let place = self.place_of(raw);
        if depth > MAX_DEPTH {
            return Err((place, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let wrong = |error: &JsonError| (place, format!("this is not JSON: {}", error.detail));
        let value = match raw.as_bytes().first() {
            Some(b'{') => {
                let found = members(raw).map_err(|error| wrong(&error))?.0;
                NodeValue::Map(self.map(found, depth)?)
            }
            Some(b'[') => {
                let items: Vec<&'a RawValue> =
                    serde_json::from_str(raw).map_err(|error| wrong(&error.into()))?;
                let nodes = items
                    .into_iter()
                    .map(|item| self.node(item.get(), depth + 1));
                NodeValue::List(nodes.collect::<Result<_, _>>()?)
            }
            Some(b'"') => NodeValue::Scalar {
                text: serde_json::from_str(raw).map_err(|error| wrong(&error.into()))?,
                plain: false,
            },
            _ => NodeValue::Scalar {
                text: raw.to_owned(),
                plain: true,
            },
        };
        Ok(Node { place, value })
    }

    fn map(
        &mut self,
        found: Vec<(Cow<'a, str>, &'a RawValue)>,
        depth: usize,
    ) -> Result<Vec<Member>, Failure> {
        let mut keys = HashSet::new();
        let mut nodes = Vec::with_capacity(found.len());
        for (key, value) in found {
            // A key with escapes is a copy, which does not tell its place: its value's comes next.
            let key_place = match &key {
                Cow::Borrowed(text) => Some(self.place_of(text)),
                Cow::Owned(_) => None,
            };
            let value = self.node(value.get(), depth + 1)?;
            // The quote before a key belongs to its place.
            let place = key_place.map_or(value.place, |place| Place {
                column: place.column.saturating_sub(1).max(1),
                ..place
            });
            if !keys.insert(key.clone()) {
                return Err((place, format!("key `{key}` is given twice")));
            }
            nodes.push(Member {
                key: key.into_owned(),
                place,
                value,
            });
        }
        Ok(nodes)
    }
}
