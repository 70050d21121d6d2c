//! The hash chain of the audit trail.
//!
//! A link of the chain stands for one commit: its hash is the SHA-256 of the previous link's hash followed by the hashes
//! of the commit's records in order. A record's hash is the SHA-256 of its canonical form, a JSON array of its fields in
//! the order of [`CanonicalRecord`], so that a record can be left out of an export and leave its bare hash behind.

use guard_domain::{AuditId, EventId, ExecutionId};
use sha2::{Digest, Sha256};

/// The hash before the first link of a chain.
pub const GENESIS: [u8; 32] = [0; 32];

/// A record in canonical form. Absent values are `null`, times are microseconds since the Unix epoch.
#[derive(Debug, Clone)]
pub struct CanonicalRecord<'a> {
    /// Its id.
    pub id: AuditId,
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
    pub event_id: Option<EventId>,
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
    pub execution_id: Option<ExecutionId>,
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
    pub fn hash(&self) -> [u8; 32] {
        let fields = (
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
        );
        // Nothing in it can fail to serialise.
        let text = serde_json::to_vec(&fields).unwrap_or_default();
        Sha256::digest(text).into()
    }
}

/// The hash of a link.
#[must_use]
pub fn link_hash(previous: &[u8; 32], records: &[[u8; 32]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(previous);
    for record in records {
        hasher.update(record);
    }
    hasher.finalize().into()
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn record(message: &str) -> CanonicalRecord<'_> {
        CanonicalRecord {
            id: AuditId::from_uuid(Uuid::nil()),
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
