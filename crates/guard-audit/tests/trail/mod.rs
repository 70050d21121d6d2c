//! Trails as a server writes them.

use std::collections::BTreeMap;

use guard_audit::{
    CanonicalRecord, Checkpoint, ExportHead, GENESIS, Head, Kept, Line, Link, LinkRecord,
    SignedCheckpoint, SigningKey, heads_digest, link_hash, record_hash,
};
use uuid::Uuid;

/// From one commit to the next.
const STEP: i64 = 600_000_000;

pub(crate) struct Trail {
    pub(crate) key: SigningKey,
    pub(crate) lines: Vec<Line>,
    heads: BTreeMap<Uuid, Head>,
    signed: BTreeMap<Uuid, Head>,
    last: Option<SignedCheckpoint>,
    number: u64,
    now: i64,
}

pub(crate) fn chain(number: u8) -> Uuid {
    Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0000 + u128::from(number))
}

impl Trail {
    pub(crate) fn new() -> Self {
        let head = ExportHead {
            format: 1,
            tenant: None,
            complete_until: i64::MAX,
        };
        Self {
            key: SigningKey::generate().unwrap(),
            lines: vec![Line::Export(head)],
            heads: BTreeMap::new(),
            signed: BTreeMap::new(),
            last: None,
            number: 0,
            now: 1_000_000,
        }
    }

    /// A commit with so many records.
    pub(crate) fn commit(&mut self, number: u8, count: u64) {
        self.now += STEP;
        let chain = chain(number);
        let before = self.heads.get(&chain);
        let (link, previous) = before.map_or((1, GENESIS), |head| (head.link + 1, head.hash));
        let records: Vec<_> = (0..count)
            .map(|position| {
                let message = format!("record {position} of link {link}");
                let record = CanonicalRecord {
                    id: Uuid::from_u128(
                        u128::from(number) << 64 | u128::from(link << 8 | position),
                    ),
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
                    message: &message,
                    shadows: "[]",
                    executed_at: self.now,
                };
                let text = record.text();
                LinkRecord {
                    position,
                    hash: record_hash(&text),
                    record: Some(text),
                }
            })
            .collect();
        let hashes: Vec<_> = records.iter().map(|record| record.hash).collect();
        let hash = link_hash(&previous, &hashes);
        let link = Link {
            chain,
            link,
            previous,
            hash,
            created_at: self.now,
            count,
            records,
        };
        self.adopt(Line::Link(link));
    }

    /// Takes a link as the server's own.
    pub(crate) fn adopt(&mut self, line: Line) {
        if let Line::Link(link) = &line {
            let head = Head {
                chain: link.chain,
                link: link.link,
                hash: link.hash,
                at: link.created_at,
            };
            self.heads.insert(link.chain, head);
        }
        self.lines.push(line);
    }

    /// Signs the heads.
    pub(crate) fn checkpoint(&mut self, full: bool) {
        let checkpoint = self.sign(full, None);
        self.lines.push(Line::Checkpoint(checkpoint));
    }

    fn sign(&mut self, full: bool, retention: Option<Kept>) -> SignedCheckpoint {
        self.now += STEP;
        let before = self.last.as_ref().map(|last| (self.number, last.hash()));
        let mut checkpoint = Checkpoint::after(before, self.now);
        let changed = |head: &&Head| full || self.signed.get(&head.chain) != Some(*head);
        checkpoint.heads = self.heads.values().filter(changed).copied().collect();
        checkpoint.full = full;
        checkpoint.digest = heads_digest(self.heads.values());
        checkpoint.retention = retention;
        self.number += 1;
        let signed = checkpoint.sign(&self.key);
        self.signed = self.heads.clone();
        self.last = Some(signed.clone());
        signed
    }

    /// Lets go of all links of a chain up to one, and of the first checkpoint.
    pub(crate) fn drop_before(&mut self, number: u8, last: u64) {
        let of_chain = |line: &Line| matches!(line, Line::Link(link) if link.chain == chain(number) && link.link <= last);
        let root = self.lines.iter().rev().find_map(|line| match line {
            Line::Link(link) if of_chain(line) => Some(Head {
                chain: link.chain,
                link: link.link,
                hash: link.hash,
                at: link.created_at,
            }),
            _ => None,
        });
        let kept = Kept {
            floor: root.unwrap().at + 1,
            first_checkpoint: 2,
            roots: root.into_iter().collect(),
        };
        let signed = self.sign(true, Some(kept));
        self.lines.retain(|line| !of_chain(line));
        let first = self
            .lines
            .iter()
            .position(|line| matches!(line, Line::Checkpoint(_)));
        self.lines.remove(first.unwrap());
        self.lines.insert(1, Line::Root(signed.clone()));
        self.lines.push(Line::Checkpoint(signed));
    }
}

pub(crate) fn link_mut(lines: &mut [Line], number: u8, link: u64) -> &mut Link {
    let found = lines.iter_mut().find_map(|line| match line {
        Line::Link(found) if found.chain == chain(number) && found.link == link => Some(found),
        _ => None,
    });
    found.unwrap()
}

pub(crate) fn checkpoints_of(lines: &[Line]) -> impl Iterator<Item = &SignedCheckpoint> {
    lines.iter().filter_map(|line| match line {
        Line::Checkpoint(checkpoint) => Some(checkpoint),
        _ => None,
    })
}

/// Computes every hash of a chain again, as a forger would.
pub(crate) fn relink(lines: &mut [Line], number: u8) {
    let mut previous = GENESIS;
    for line in lines {
        if let Line::Link(link) = line
            && link.chain == chain(number)
        {
            let hashes: Vec<_> = link.records.iter().map(|record| record.hash).collect();
            link.previous = previous;
            link.hash = link_hash(&previous, &hashes);
            previous = link.hash;
        }
    }
}
