//! The audit trail: putting on record what is no decision and changes nothing by itself, and writing it out.

use std::sync::Arc;

use async_trait::async_trait;
use guard_audit::Line;
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

/// The audit trail in the order in which it is verified, while the server goes on.
pub trait AuditExports: Send + Sync {
    /// An export with the records of one tenant in full, or with everybody's.
    fn export(self: Arc<Self>, tenant: Option<TenantId>) -> Box<dyn AuditLines>;
}

/// The lines of an export, one after the other.
#[async_trait]
pub trait AuditLines: Send {
    /// The next line; `None` once there is no more.
    async fn next_line(&mut self) -> Result<Option<Line>, StorageError>;
}
