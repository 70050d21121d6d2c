//! The audit chain verifies: recomputed from the stored rows, one link for each commit, from the first on.

use std::collections::HashMap;

use guard_audit::{GENESIS, link_hash};
use sha2::{Digest, Sha256};
use sqlx::types::Uuid;

use super::super::record::AuditRow;
use super::{Decided, Evidence};

pub(super) fn check(evidence: &Evidence<'_>, events: &HashMap<Uuid, Decided<'_>>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut commits: HashMap<(Uuid, i64), Vec<&AuditRow>> = HashMap::new();
    for record in &evidence.record.audit {
        commits
            .entry((record.chain, record.link))
            .or_default()
            .push(record);
        if record.computed_hash()[..] != record.hash {
            wrong.push(format!(
                "record {} has another hash than its fields",
                record.id
            ));
        }
        if let Some(event) = record.event {
            match events.get(&event) {
                None => wrong.push(format!(
                    "record {} is about event {event}, which is gone",
                    record.id
                )),
                Some(event) => {
                    let digest = Sha256::digest(event.row.body.as_bytes());
                    if record.event_sha256.as_deref() != Some(&digest[..]) {
                        wrong.push(format!(
                            "record {} has another digest than its event",
                            record.id
                        ));
                    }
                }
            }
        }
    }
    // The links come in the order of their chains.
    let mut head: (Option<Uuid>, i64, [u8; 32]) = (None, 0, GENESIS);
    for row in &evidence.record.links {
        if head.0 != Some(row.chain) {
            head = (Some(row.chain), 0, GENESIS);
        }
        let place = format!("link {} of chain {}", row.link, row.chain);
        if row.link != head.1 + 1 {
            wrong.push(format!("{place} follows link {}", head.1));
        }
        if row.previous != head.2 {
            wrong.push(format!("{place} does not continue the link before"));
        }
        let records = commits.remove(&(row.chain, row.link)).unwrap_or_default();
        let hashes: Vec<[u8; 32]> = records
            .iter()
            .map(|record| record.computed_hash())
            .collect();
        let previous = row.previous.as_slice().try_into().unwrap_or(GENESIS);
        if row.hash != link_hash(&previous, &hashes) {
            wrong.push(format!("{place} has another hash than its records"));
        }
        let in_order = (0..)
            .zip(&records)
            .all(|(place, record)| record.position == place);
        let at_once = records
            .iter()
            .all(|record| record.executed_at == row.created_at);
        if row.records != records.len() as i64 || !in_order || !at_once {
            wrong.push(format!(
                "{place} stands for {} records, and has {}",
                row.records,
                records.len()
            ));
        }
        head = (
            head.0,
            row.link,
            row.hash.as_slice().try_into().unwrap_or(GENESIS),
        );
    }
    for (chain, link) in commits.keys() {
        wrong.push(format!(
            "link {link} of chain {chain} is missing, and has records"
        ));
    }
    wrong
}
