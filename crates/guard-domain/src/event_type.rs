//! What kind of thing happened.

use std::collections::BTreeSet;
use std::fmt;

use crate::UnknownWord;
use crate::suggest;

/// The longest event type, in characters.
const MAX_LENGTH: usize = 63;

/// The types Sentinel sends.
const KNOWN: [&str; 5] = [
    "backup_failed",
    "security_threat",
    "health_check_failed",
    "anomaly_detected",
    "user_offboarding",
];

/// The kind of an event: 1 to 63 of `a-z`, `0-9` and `_`, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(Box<str>);

impl EventType {
    /// Reads the spelling of an event type; whether such a type exists is for [`EventTypes::find`] to say.
    ///
    /// Returns `None` for a text that cannot be the name of any event type.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() <= MAX_LENGTH
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        valid.then(|| Self(text.into()))
    }

    /// The type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The event types a server accepts: the five that Sentinel sends and those that were configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTypes(BTreeSet<EventType>);

impl EventTypes {
    /// The known types plus `extra` ones.
    #[must_use]
    pub fn with_extra(extra: impl IntoIterator<Item = EventType>) -> Self {
        let known = KNOWN.into_iter().filter_map(EventType::parse);
        Self(known.chain(extra).collect())
    }

    /// The accepted type of this name.
    ///
    /// # Errors
    /// [`UnknownWord`] with the nearest accepted type.
    pub fn find(&self, text: &str) -> Result<&EventType, UnknownWord> {
        self.iter()
            .find(|known| known.as_str() == text)
            .ok_or_else(|| UnknownWord {
                kind: "event type",
                word: suggest::quote(text),
                expected: self
                    .iter()
                    .map(EventType::as_str)
                    .collect::<Vec<_>>()
                    .join(", "),
                nearest: suggest::nearest(text, self.iter().map(EventType::as_str))
                    .map(str::to_owned),
            })
    }

    /// The accepted types in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &EventType> {
        self.0.iter()
    }
}

impl Default for EventTypes {
    fn default() -> Self {
        Self::with_extra([])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_types_join_the_known_ones() {
        let extra = EventType::parse("disk_full").unwrap();
        let types = EventTypes::with_extra([extra.clone()]);
        assert_eq!(types.find("disk_full"), Ok(&extra));
        assert!(types.find("backup_failed").is_ok());
        let error = EventTypes::default().find("backup_fail").unwrap_err();
        assert_eq!(error.nearest.as_deref(), Some("backup_failed"));
    }

    #[test]
    fn a_type_is_spelled_in_lower_case_with_underscores() {
        for bad in ["", "Backup", "1st", "a-b", "a b", &"a".repeat(64)] {
            assert_eq!(EventType::parse(bad), None, "{bad}");
        }
    }
}
