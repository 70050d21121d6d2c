//! Putting on record what is no decision and changes nothing by itself.

use async_trait::async_trait;
use guard_domain::TenantId;

use super::{Actor, StorageError};

/// Something that happened and belongs into the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// What, in a word: `callback_refused`.
    pub action: &'static str,
    /// What it was done to, for example `execution:<id>`.
    pub target: String,
    /// What to know, in a sentence.
    pub message: String,
}

/// Keeps the audit trail.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Puts an act on record.
    async fn record(&self, tenant: &TenantId, actor: &Actor, act: &Act)
    -> Result<(), StorageError>;
}
