//! Where in an event a value stands.

use std::fmt;

use thiserror::Error;

use crate::suggest;

/// The fields of an event that a path can begin with.
const ROOTS: [&str; 6] = [
    "event_type",
    "severity",
    "source",
    "timestamp",
    "id",
    "context",
];

/// One step into a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathStep {
    /// The member of an object with this key.
    Key(String),
    /// The element of an array at this index, from 0.
    Index(usize),
}

/// A dotted path from the event's root: `context.host.name`, `context."a.b"`, `context.tags[0]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<PathStep>);

/// Why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FieldPathError {
    /// It begins with something that no event has.
    #[error("an event has no field `{root}`, a path begins with one of event_type, severity, source, timestamp, id, context{}", suggest::hint(.nearest.as_deref()))]
    UnknownRoot {
        /// What it begins with.
        root: String,
        /// The field spelled most like it.
        nearest: Option<String>,
    },
    /// It cannot be read.
    #[error(
        "`{path}` is not a path such as context.host.name, context.\"a.b\" or context.tags[0]: {detail}"
    )]
    Malformed {
        /// The text.
        path: String,
        /// What is wrong.
        detail: &'static str,
    },
}

impl FieldPath {
    /// Reads a path.
    ///
    /// # Errors
    /// [`FieldPathError`], naming the nearest field of an event where the first step is none.
    pub fn parse(text: &str) -> Result<Self, FieldPathError> {
        let malformed = |detail| FieldPathError::Malformed {
            path: text.to_owned(),
            detail,
        };
        let steps = parse_steps(text).map_err(malformed)?;
        match steps.first() {
            Some(PathStep::Key(root)) if ROOTS.contains(&root.as_str()) => Ok(Self(steps)),
            Some(PathStep::Key(root)) => Err(FieldPathError::UnknownRoot {
                root: root.clone(),
                nearest: suggest::nearest(root, ROOTS).map(str::to_owned),
            }),
            _ => Err(malformed("it is empty")),
        }
    }

    /// The steps from the event's root.
    #[must_use]
    pub fn steps(&self) -> &[PathStep] {
        &self.0
    }

    /// The path as a JSON pointer (RFC 6901).
    #[must_use]
    pub fn pointer(&self) -> String {
        self.0
            .iter()
            .map(|step| match step {
                PathStep::Key(key) => format!("/{}", crate::json::escape_pointer(key)),
                PathStep::Index(index) => format!("/{index}"),
            })
            .collect()
    }
}

const NO_INDEX: &str = "an index is a whole number from 0";

/// Whether a key can stand without quotes.
fn is_plain(key: &str) -> bool {
    let special = |c: char| c.is_whitespace() || c.is_control() || "{}()[]|<>=,'`\".".contains(c);
    !key.is_empty() && !key.contains(special)
}

fn parse_steps(text: &str) -> Result<Vec<PathStep>, &'static str> {
    let mut steps = Vec::new();
    let mut rest = text;
    loop {
        let (key, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted.split_once('"').ok_or("a quote is not closed")?
        } else {
            let end = rest.find(['.', '[', '"']).unwrap_or(rest.len());
            rest.split_at(end)
        };
        if key.is_empty() && !rest.starts_with('"') {
            return Err("a step is empty");
        }
        if !rest.starts_with('"') && !is_plain(key) {
            return Err("a key with white space or any of {}()[]|<>=,'` must be quoted");
        }
        steps.push(PathStep::Key(key.to_owned()));
        rest = after;
        while let Some(indexed) = rest.strip_prefix('[') {
            let (index, after) = indexed.split_once(']').ok_or("a bracket is not closed")?;
            let number: usize = index.parse().map_err(|_| NO_INDEX)?;
            if number.to_string() != index {
                return Err(NO_INDEX);
            }
            steps.push(PathStep::Index(number));
            rest = after;
        }
        if rest.is_empty() {
            return Ok(steps);
        }
        rest = rest
            .strip_prefix('.')
            .ok_or("a `.` is expected between steps")?;
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                PathStep::Index(index) => write!(f, "[{index}]")?,
                PathStep::Key(key) => {
                    let dot = if i == 0 { "" } else { "." };
                    if is_plain(key) {
                        write!(f, "{dot}{key}")?;
                    } else {
                        write!(f, "{dot}\"{key}\"")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_written_back() {
        for path in [
            "context",
            "severity",
            "context.host.name",
            "context.\"a.b\".c",
            "context.tags[0]",
            "context.m[1][2].x",
        ] {
            assert_eq!(FieldPath::parse(path).unwrap().to_string(), path);
        }
        let path = FieldPath::parse("context.\"a/b\"[3]").unwrap();
        assert_eq!(path.pointer(), "/context/a~1b/3");
        assert_eq!(path.steps()[2], PathStep::Index(3));
    }

    #[test]
    fn wrong_paths_say_why() {
        for bad in [
            "",
            ".",
            "context.",
            "context..a",
            "context[",
            "context[-1]",
            "context[x]",
            "context.\"a",
            "context.\"a\"b",
            "context.a b",
            "context.x | default",
            "context.load > 5",
            "context.x}",
            "context.x[01]",
            "context.x[+1]",
        ] {
            assert!(
                matches!(FieldPath::parse(bad), Err(FieldPathError::Malformed { .. })),
                "{bad}"
            );
        }
        let error = FieldPath::parse("contxt.a").unwrap_err().to_string();
        assert!(error.ends_with("did you mean `context`?"), "{error}");
    }
}
