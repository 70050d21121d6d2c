//! Signing what the audit trail is.

use std::io;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use guard_audit::{Checkpoint, Head, SignedCheckpoint};

use super::StorageError;

/// What of the audit trail is signed, and the signatures.
#[async_trait]
pub trait Checkpoints: Send + Sync {
    /// The last link of every chain, in the order of the chains.
    async fn heads(&self) -> Result<Vec<Head>, StorageError>;

    /// The last checkpoint, and the number under which it is kept.
    async fn last_checkpoint(&self) -> Result<Option<(u64, SignedCheckpoint)>, StorageError>;

    /// Keeps a checkpoint. `false`: there is one of this number already, and nothing was written.
    async fn append_checkpoint(
        &self,
        checkpoint: &Checkpoint,
        signed: &SignedCheckpoint,
    ) -> Result<bool, StorageError>;

    /// What can be gone once everything before `floor` is; `None` if a checkpoint says that or more already.
    async fn old_links(&self, floor: DateTime<Utc>) -> Result<Option<OldLinks>, StorageError>;
}

/// What retention is about to let go of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldLinks {
    /// Of each chain that began before the floor the last link of which records may go.
    pub roots: Vec<Head>,
    /// The first checkpoint that stays; the next one if not given.
    pub first_checkpoint: Option<u64>,
}

/// A place outside the database where checkpoints are kept, too.
pub trait Witness: Send + Sync {
    /// Keeps a checkpoint after those before.
    ///
    /// # Errors
    /// What stands in the way.
    fn keep(&self, signed: &SignedCheckpoint) -> io::Result<()>;
}

/// Signs what is about to be let go of.
#[async_trait]
pub trait Roots: Send + Sync {
    /// Signs that what was recorded before `floor` may be gone, and from where on the chains are verified then.
    async fn sign_roots(&self, floor: DateTime<Utc>) -> Result<(), StorageError>;
}
