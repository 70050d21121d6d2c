//! Verifying a trail, line by line.

mod checkpoints;
mod links;
mod records;
mod witness;

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use crate::checkpoint::{Checkpoint, Head, Kept};
use crate::export::{ExportHead, Line};
use crate::finding::{Finding, FindingKind};
use crate::hash::Hash;
use crate::key::PublicKey;

/// How much older than the checkpoint before it a link may be, in microseconds: its commit may have taken so long.
const SLOW_COMMIT: i64 = 600_000_000;
/// How many findings are kept.
const MOST: usize = 1000;

/// Verifies a trail. It remembers the head of each chain and the hash of each checkpoint, however long the trail is.
#[derive(Debug)]
pub struct Verifier {
    keys: Vec<PublicKey>,
    head: Option<ExportHead>,
    kept: Option<Kept>,
    roots: HashMap<Uuid, Head>,
    chains: HashMap<Uuid, ChainState>,
    checkpoints: Checkpoints,
    verified: Verified,
    findings: Vec<Finding>,
    lines: u64,
    /// When the first and the last link was written.
    span: Option<(i64, i64)>,
}

/// What has been verified so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Links.
    pub links: u64,
    /// Records, of which there was more than the hash.
    pub records: u64,
    /// Records of which there was the hash alone.
    pub bare: u64,
    /// Chains.
    pub chains: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// The number and time of the last checkpoint, in microseconds since the Unix epoch.
    pub last_checkpoint: Option<(u64, i64)>,
    /// Links that no checkpoint stands for yet.
    pub unsigned_links: u64,
    /// Findings, those that were not kept included.
    pub findings: u64,
    /// Until when the trail claims to be complete, in microseconds since the Unix epoch.
    pub complete_until: Option<i64>,
}

/// What is known of a chain.
#[derive(Debug)]
struct ChainState {
    link: u64,
    hash: Hash,
    /// The last link that a checkpoint stood for.
    signed: u64,
    /// The first link that none stood for yet, and the earliest time of those.
    unsigned: Option<(u64, i64)>,
    /// A signed head has said otherwise: so will those after it.
    diverged: bool,
}

impl ChainState {
    /// Of a chain of which nothing is there but what retention says of it.
    const fn missing(link: u64, hash: Hash) -> Self {
        Self {
            link,
            hash,
            signed: 0,
            unsigned: None,
            diverged: true,
        }
    }
}

#[derive(Debug, Default)]
struct Checkpoints {
    first: Option<u64>,
    /// The hash of each, from the first on.
    hashes: Vec<Option<Hash>>,
    last: Option<Checkpoint>,
    /// What the last head of each chain is by the checkpoints.
    heads: BTreeMap<Uuid, Head>,
    /// Whether `heads` are all that there are.
    complete: bool,
}

impl Verifier {
    /// Verifies by these keys: the one that signs, and those that signed before it.
    #[must_use]
    pub fn new(keys: Vec<PublicKey>) -> Self {
        Self {
            keys,
            head: None,
            kept: None,
            roots: HashMap::new(),
            chains: HashMap::new(),
            checkpoints: Checkpoints::default(),
            verified: Verified::default(),
            findings: Vec::new(),
            lines: 0,
            span: None,
        }
    }

    /// Takes the next line of an export.
    pub fn text(&mut self, line: &str) {
        match serde_json::from_str(line) {
            Ok(line) => self.line(line),
            Err(error) => {
                self.lines += 1;
                let sentence = format!("line {} is no line of an export: {error}", self.lines);
                self.find(Finding::new(FindingKind::Unreadable, sentence));
            }
        }
    }

    /// Takes the next line of an export, read already.
    pub fn line(&mut self, line: Line) {
        self.lines += 1;
        if self.lines == 1 && !matches!(&line, Line::Export(_)) {
            self.misplaced("an export begins with what it is");
        }
        match line {
            Line::Export(head) if self.lines == 1 => self.head(head),
            Line::Root(root) if self.lines == 2 => self.root(&root),
            Line::Export(_) | Line::Root(_) => self.misplaced("this belongs at the beginning"),
            Line::Link(link) => self.link(&link),
            Line::Checkpoint(checkpoint) => self.checkpoint(&checkpoint),
        }
    }

    fn head(&mut self, head: ExportHead) {
        if head.format != 1 {
            let sentence = format!("the export is of format {}, not 1", head.format);
            self.find(Finding::new(FindingKind::Unreadable, sentence));
        }
        self.verified.complete_until = Some(head.complete_until);
        self.head = Some(head);
    }

    fn misplaced(&mut self, why: &str) {
        let sentence = format!("line {}: {why}", self.lines);
        self.find(Finding::new(FindingKind::Unreadable, sentence));
    }

    /// What was found since it was last asked.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// How many findings there were so far.
    #[must_use]
    pub const fn found(&self) -> u64 {
        self.verified.findings
    }

    /// Ends: what was verified, with the findings that only the end shows.
    pub fn finish(&mut self) -> Verified {
        self.end_of_checkpoints();
        let there = self.chains.values().filter(|chain| chain.link > 0);
        self.verified.chains = u64::try_from(there.count()).unwrap_or(u64::MAX);
        let open = self.chains.values().filter_map(|chain| {
            chain
                .unsigned
                .map(|(first, _)| chain.link.saturating_sub(first) + 1)
        });
        self.verified.unsigned_links = open.sum();
        self.verified.clone()
    }

    fn find(&mut self, finding: Finding) {
        self.verified.findings += 1;
        if self.findings.len() < MOST {
            self.findings.push(finding);
        }
    }
}
