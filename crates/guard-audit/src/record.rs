//! Records in canonical form, and the links that stand for them.
//!
//! A link of a chain stands for one commit: its hash is the SHA-256 of the previous link's hash followed by the hashes
//! of the commit's records in order. A record's hash is the SHA-256 of its canonical form, a JSON array of its fields in
//! the order of [`CanonicalRecord`], so that a record can be left out of an export and leave its bare hash behind.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

#[cfg(doc)]
use crate::hash::GENESIS;
use crate::hash::{Hash, sha256, sha256_of};

/// A record in canonical form. Absent values are `null`, times are microseconds since the Unix epoch.
#[derive(Debug, Clone)]
pub struct CanonicalRecord<'a> {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub tenant: &'a str,
    /// What happened.
    pub action: &'a str,
    /// Who did it.
    pub actor: &'a str,
    /// The request that did it.
    pub request_id: Option<&'a str>,
    /// What it was done to.
    pub target: Option<&'a str>,
    /// The event decided about.
    pub event_id: Option<Uuid>,
    /// The SHA-256 of the event's text, in hexadecimal.
    pub event_sha256: Option<&'a str>,
    /// The decision.
    pub decision: Option<&'a str>,
    /// The rule that decided.
    pub rule_id: Option<&'a str>,
    /// Its version.
    pub rule_version: Option<u32>,
    /// The revision of the rules.
    pub revision: Option<u64>,
    /// The execution that follows.
    pub execution_id: Option<Uuid>,
    /// Why.
    pub message: &'a str,
    /// The shadow rules that matched, as a JSON array.
    pub shadows: &'a str,
    /// When.
    pub executed_at: i64,
}

impl CanonicalRecord<'_> {
    /// The record's hash.
    #[must_use]
    pub fn hash(&self) -> Hash {
        // Most are of some 350 bytes.
        let mut text = Vec::with_capacity(512);
        // Nothing in it can fail to serialise.
        _ = serde_json::to_writer(&mut text, &self.fields());
        sha256(text)
    }

    /// The canonical form.
    #[must_use]
    pub fn text(&self) -> Box<RawValue> {
        to_raw_value(&self.fields()).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }

    fn fields(&self) -> impl Serialize {
        (
            self.id,
            self.tenant,
            self.action,
            self.actor,
            self.request_id,
            self.target,
            self.event_id,
            self.event_sha256,
            self.decision,
            self.rule_id,
            self.rule_version,
            self.revision,
            self.execution_id,
            self.message,
            self.shadows,
            self.executed_at,
        )
    }
}

/// The hash of a record in canonical form.
#[must_use]
pub fn record_hash(text: &RawValue) -> Hash {
    sha256(text.get())
}

/// The hash of a link; [`GENESIS`] is previous to the first.
#[must_use]
pub fn link_hash(previous: &Hash, records: &[Hash]) -> Hash {
    sha256_of(std::iter::once(previous).chain(records))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{GENESIS, hex};

    fn record(message: &str) -> CanonicalRecord<'_> {
        CanonicalRecord {
            id: Uuid::nil(),
            tenant: "default",
            action: "decision",
            actor: "key:api",
            request_id: None,
            target: None,
            event_id: None,
            event_sha256: None,
            decision: Some("ignored"),
            rule_id: None,
            rule_version: None,
            revision: Some(1),
            execution_id: None,
            message,
            shadows: "[]",
            executed_at: 0,
        }
    }

    #[test]
    fn links_are_hashed_as_ever() {
        let link = link_hash(&GENESIS, &[[1; 32], [2; 32]]);
        assert_eq!(
            hex(&link),
            "934d1dbfb88c30da48404c96d98e39955ff1586d9382c2ceb15264cb23ea1710"
        );
    }

    #[test]
    fn every_change_changes_the_link() {
        let (one, two) = (record("one").hash(), record("two").hash());
        assert_ne!(one, two);
        let link = link_hash(&GENESIS, &[one, two]);
        assert_ne!(link, link_hash(&GENESIS, &[two, one]));
        assert_ne!(link, link_hash(&GENESIS, &[one]));
        assert_ne!(link, link_hash(&link, &[one, two]));
    }

    #[test]
    fn the_canonical_form_is_stable() {
        assert_eq!(
            hex(&record("one").hash()),
            "9783b5cc38a6888d28d668790c5ea9487528ebb6886192099f08390c7e2d6686"
        );
    }
}
