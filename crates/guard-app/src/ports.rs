//! What the use cases need of the world.

mod api_keys;
mod archive;
mod audit;
mod authenticator;
mod clock;
mod controls;
mod leases;
mod ledger;
mod orders;
mod outbox;
mod playbooks;
mod retention;
mod rules;
mod storage;

pub use api_keys::{ApiKey, ApiKeys, FreshKey, KeyDigest, KeyMaker, KeyUse};
pub use archive::{
    Archive, AuditFilter, AuditPosition, AuditRecord, EscalationFilter, EventFilter, EventRecord,
    ExecutionDetail, ExecutionFilter, IdPage,
};
pub use audit::{Act, AuditLog};
pub use authenticator::{AuthError, Authenticator, Principal, Scope};
pub use clock::{Clock, Random, random_tail};
pub use controls::{Controls, Pause, PauseScope, PauseScopeError};
pub use leases::{Lease, Leases};
#[cfg(test)]
pub(crate) use ledger::MockLedger;
pub use ledger::{
    CommitOutcome, CommitTerms, Consequence, ExecutionBrief, IdempotencyKey, Intake, Ledger,
    Origin, Receipt,
};
pub use orders::{CancelOutcome, RedriveOutcome, Rehearsal, UndoOutcome};
pub use outbox::{
    AttemptReport, ClaimRequest, Claimed, ConfirmTimes, FinishOutcome, NextStep, Outbox, Settled,
    StartOutcome, WorkflowResult,
};
pub use playbooks::{
    Answered, Delivery, DeliveryOutcome, MAX_ANSWER_BYTES, Playbooks, Presence, Reachability,
    RunStatus, Undone,
};
pub use retention::{Dropped, Retention};
pub use rules::{LiveRules, PublishMode, Published, RuleDefinition, RuleStore};
pub use storage::{Actor, StorageError};
