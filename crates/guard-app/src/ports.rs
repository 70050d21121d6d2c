//! What the use cases need of the world.

mod api_keys;
mod archive;
mod audit;
mod authenticator;
mod checkpoints;
mod clock;
mod controls;
mod leases;
mod ledger;
mod notifications;
mod notifier;
mod orders;
mod outbox;
mod playbooks;
mod rate_limiter;
mod retention;
mod rules;
mod storage;
mod tenants;

pub use api_keys::{ApiKey, ApiKeys, FreshKey, KeyDigest, KeyMaker, KeyUse};
pub use archive::{
    Archive, AuditFilter, AuditPosition, AuditRecord, EscalationFilter, EscalationRecord,
    EventFilter, EventRecord, ExecutionDetail, ExecutionFilter, IdPage,
};
pub use audit::{Act, AuditExports, AuditLines, AuditLog};
pub use authenticator::{AuthError, Authenticator, Principal, Scope};
pub use checkpoints::{Checkpoints, OldLinks, Roots, Witness};
pub use clock::{Clock, Random, random_tail};
pub use controls::{Controls, Pause, PauseScope, PauseScopeError};
pub use leases::{Lease, Leases};
#[cfg(test)]
pub(crate) use ledger::MockLedger;
pub use ledger::{
    CommitOutcome, CommitTerms, Consequence, ExecutionBrief, IdempotencyKey, Intake, Ledger,
    Origin, Receipt,
};
pub use notifications::{
    AfterSending, ClaimedNotification, NotificationRequest, NotificationRound, Notifications,
    UnsentNotification, WaitingNotifications,
};
pub use notifier::{Message, Notifier, SendOutcome};
pub use orders::{CancelOutcome, OrderOutcome, Rehearsal};
pub use outbox::{
    AttemptReport, ClaimRequest, Claimed, ConfirmTimes, FinishOutcome, NextStep, Outbox, Settled,
    StartOutcome, WorkflowResult,
};
pub use playbooks::{
    Answered, Delivery, DeliveryOutcome, MAX_ANSWER_BYTES, Playbooks, Presence, Reachability,
    RunStatus, Undone,
};
pub use rate_limiter::{
    MAX_TRACKED_SOURCES, RateClass, RateDemand, RateGrant, RateLimiter, RateQuota, RateQuotaError,
};
pub use retention::{Dropped, Retention};
pub use rules::{LiveRules, PublishMode, Published, RuleDefinition, RuleStore};
pub use storage::{Actor, StorageError};
pub use tenants::{AllTenants, Disabled, SourceLimit, Tenant, TenantLimits, TenantSource, Tenants};
