//! Rules as immutable versions, and the numbered revisions that hold them.

use async_trait::async_trait;
use guard_domain::{RuleId, TenantId};

use super::{Actor, StorageError};

/// A rule as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDefinition {
    /// Its id.
    pub id: RuleId,
    /// The rule as one line of JSON.
    pub definition: String,
}

/// When rules are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishMode {
    /// Only if this content has never been a revision: an instance that starts must not revert what was published since.
    NeverSeen,
    /// If it differs from the live revision, reverts included: an operator asked for it.
    Differs,
}

/// What became of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The live revision.
    pub revision: u64,
    /// Whether it is a new one.
    pub created: bool,
}

/// The live rules of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRules {
    /// The revision.
    pub revision: u64,
    /// The rules in order, with their versions.
    pub rules: Vec<(RuleDefinition, u32)>,
}

/// Published rules.
#[async_trait]
pub trait RuleStore: Send + Sync {
    /// Publishes rules as a new revision, on record, if the mode says so. Unchanged rules keep their version.
    async fn publish(
        &self,
        tenant: &TenantId,
        rules: &[RuleDefinition],
        origin: &str,
        mode: PublishMode,
        actor: &Actor,
    ) -> Result<Published, StorageError>;

    /// The live rules; `None` for a tenant that never had any.
    async fn live(&self, tenant: &TenantId) -> Result<Option<LiveRules>, StorageError>;

    /// A version of a rule, live or not.
    async fn version(
        &self,
        tenant: &TenantId,
        id: &RuleId,
        version: u32,
    ) -> Result<Option<RuleDefinition>, StorageError>;

    /// The tenants that have rules, each with the revision that is live.
    async fn live_revisions(&self) -> Result<Vec<(TenantId, u64)>, StorageError>;
}
