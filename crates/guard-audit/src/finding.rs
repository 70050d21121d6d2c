//! What a verification finds.

use std::fmt;

use uuid::Uuid;

/// What was done to the trail, as far as can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindingKind {
    /// A line cannot be read, or has no business there.
    Unreadable,
    /// A record is not what it was when it was written.
    ChangedRecord,
    /// A record is missing.
    RemovedRecord,
    /// A record was not there when its link was written.
    InsertedRecord,
    /// The records of a link are in another order.
    Reordered,
    /// A link does not stand for its records, or does not follow from the link before.
    ChangedLink,
    /// Links between others are missing.
    RemovedLink,
    /// A link is there twice, or where none can be.
    InsertedLink,
    /// A chain that a checkpoint names is not there.
    RemovedChain,
    /// The last links of a chain that a checkpoint names are not there.
    CutTail,
    /// Links were changed and all hashes after them computed again: a signed head says otherwise.
    Recomputed,
    /// Something claims to be older than a checkpoint that did not know of it.
    Backdated,
    /// A checkpoint is not signed by a known key.
    Signature,
    /// A checkpoint is missing.
    RemovedCheckpoint,
    /// A checkpoint does not follow from the one before, or is not the one that was kept elsewhere.
    ChangedCheckpoint,
    /// Nothing is signed, though there are links of times far apart.
    Unsigned,
}

impl FindingKind {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::ChangedRecord => "changed_record",
            Self::RemovedRecord => "removed_record",
            Self::InsertedRecord => "inserted_record",
            Self::Reordered => "reordered",
            Self::ChangedLink => "changed_link",
            Self::RemovedLink => "removed_link",
            Self::InsertedLink => "inserted_link",
            Self::RemovedChain => "removed_chain",
            Self::CutTail => "cut_tail",
            Self::Recomputed => "recomputed",
            Self::Backdated => "backdated",
            Self::Signature => "signature",
            Self::RemovedCheckpoint => "removed_checkpoint",
            Self::ChangedCheckpoint => "changed_checkpoint",
            Self::Unsigned => "unsigned",
        }
    }
}

/// Something that is not as it was written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// The chain.
    pub chain: Option<Uuid>,
    /// The link; the first one if there are several.
    pub link: Option<u64>,
    /// The position of the record in the link.
    pub position: Option<u64>,
    /// The id of the record.
    pub record: Option<Uuid>,
    /// The number of the checkpoint.
    pub checkpoint: Option<u64>,
    /// What it means.
    pub sentence: String,
}

impl Finding {
    pub(crate) fn new(kind: FindingKind, sentence: impl Into<String>) -> Self {
        Self {
            kind,
            chain: None,
            link: None,
            position: None,
            record: None,
            checkpoint: None,
            sentence: sentence.into(),
        }
    }

    pub(crate) const fn at(mut self, chain: Uuid, link: u64) -> Self {
        self.chain = Some(chain);
        self.link = Some(link);
        self
    }

    pub(crate) const fn position(mut self, position: u64) -> Self {
        self.position = Some(position);
        self
    }

    pub(crate) const fn record(mut self, record: Option<Uuid>) -> Self {
        self.record = record;
        self
    }

    pub(crate) const fn checkpoint(mut self, number: u64) -> Self {
        self.checkpoint = Some(number);
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        if let Some(number) = self.checkpoint {
            write!(f, " checkpoint {number}")?;
        }
        if let Some(chain) = self.chain {
            write!(f, " chain {chain}")?;
        }
        if let Some(link) = self.link {
            write!(f, " link {link}")?;
        }
        if let Some(position) = self.position {
            write!(f, " position {position}")?;
        }
        if let Some(record) = self.record {
            write!(f, " record {record}")?;
        }
        write!(f, ": {}", self.sentence)
    }
}
