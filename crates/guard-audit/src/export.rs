//! The lines of an export.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::checkpoint::SignedCheckpoint;
use crate::hash::Hash;

/// A line of an export: `{"link": {…}}` and so on.
///
/// First comes the head of the export, then the root if retention has let go of anything, then links and checkpoints: each
/// checkpoint follows all links that it is the first to stand for. The links of a chain are in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// What the export is.
    Export(ExportHead),
    /// The checkpoint that says last what retention has let go of.
    Root(SignedCheckpoint),
    /// A link with its records.
    Link(Link),
    /// A checkpoint.
    Checkpoint(SignedCheckpoint),
}

/// What an export is: said by who made it, and signed by nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportHead {
    /// The version of this format: 1.
    pub format: u32,
    /// Whose records are there in full; everybody's if not given.
    pub tenant: Option<String>,
    /// What was recorded until then is there, in microseconds since the Unix epoch.
    pub complete_until: i64,
}

/// A link of a chain: a commit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The chain.
    pub chain: Uuid,
    /// Its number, counted from 1.
    pub link: u64,
    /// The hash of the link before; [`crate::GENESIS`] before the first.
    #[serde(with = "crate::hash")]
    pub previous: Hash,
    /// Its hash.
    #[serde(with = "crate::hash")]
    pub hash: Hash,
    /// When it was written, in microseconds since the Unix epoch.
    pub created_at: i64,
    /// How many records it stands for.
    pub count: u64,
    /// The records, by their positions.
    pub records: Vec<LinkRecord>,
}

/// A record of a link.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkRecord {
    /// Its position in the link, counted from 0.
    pub position: u64,
    /// Its hash.
    #[serde(with = "crate::hash")]
    pub hash: Hash,
    /// Its canonical form; left out of what is another tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Box<RawValue>>,
}
