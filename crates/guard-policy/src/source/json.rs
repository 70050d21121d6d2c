//! JSON text to nodes. Values borrow from the text, so that their address tells their place.

use guard_domain::{JsonError, find_lone_surrogate, members};
use serde_json::value::RawValue;

use super::node::{MAX_DEPTH, Member, Node, NodeValue, Place};

type Failure = (Place, String);

pub(crate) fn parse(text: &str) -> Result<Node, Failure> {
    if let Some(offset) = find_lone_surrogate(text) {
        return Err((place_at(text, offset), "half of a surrogate pair".into()));
    }
    let root: &RawValue =
        serde_json::from_str(text).map_err(|error| failure(&JsonError::from(error)))?;
    node(text, root.get(), 0)
}

fn failure(error: &JsonError) -> Failure {
    let place = Place {
        line: error.line.max(1),
        column: error.column.max(1),
    };
    (place, format!("this is not JSON: {}", error.detail))
}

fn place_at(text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or(before);
    Place {
        line: 1 + before.matches('\n').count(),
        column: 1 + line.chars().count(),
    }
}

fn node(text: &str, raw: &str, depth: usize) -> Result<Node, Failure> {
    let place = place_at(text, raw.as_ptr() as usize - text.as_ptr() as usize);
    if depth > MAX_DEPTH {
        return Err((place, format!("nested deeper than {MAX_DEPTH} levels")));
    }
    let inner = |error: &JsonError| (place, format!("this is not JSON: {}", error.detail));
    let value = match raw.as_bytes().first() {
        Some(b'{') => {
            let mut found: Vec<Member> = Vec::new();
            for (key, value) in members(raw).map_err(|error| inner(&error))?.0 {
                let value = node(text, value.get(), depth + 1)?;
                if found.iter().any(|member| member.key == key) {
                    return Err((value.place, format!("key `{key}` is given twice")));
                }
                found.push(Member {
                    key: key.into_owned(),
                    place: value.place,
                    value,
                });
            }
            NodeValue::Map(found)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> =
                serde_json::from_str(raw).map_err(|error| inner(&error.into()))?;
            let nodes = items
                .into_iter()
                .map(|item| node(text, item.get(), depth + 1));
            NodeValue::List(nodes.collect::<Result<_, _>>()?)
        }
        Some(b'"') => NodeValue::Scalar {
            text: serde_json::from_str(raw).map_err(|error| inner(&error.into()))?,
            plain: false,
        },
        _ => NodeValue::Scalar {
            text: raw.to_owned(),
            plain: true,
        },
    };
    Ok(Node { place, value })
}
