//! Where events, decisions and what follows from them become durable together.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use guard_domain::{
    Decision, Escalation, Event, EventId, ExecutionId, ExecutionState, LogLevel, PlaybookName,
    RuleId, TenantId,
};
use guard_policy::{Evaluation, RuleSet, Terms};

use super::StorageError;

/// An event that was evaluated and is to be decided and recorded.
#[derive(Debug, Clone)]
pub struct Intake {
    /// Whose event it is.
    pub tenant: TenantId,
    /// Its id; the time inside is when it was received.
    pub event_id: EventId,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// The event.
    pub event: Arc<Event>,
    /// The SHA-256 of its text, for its record.
    pub body_sha256: [u8; 32],
    /// The sender's key for it.
    pub key: Option<IdempotencyKey>,
    /// The rules it was evaluated by.
    pub rules: Arc<RuleSet>,
    /// The rules that match.
    pub evaluation: Evaluation,
    /// Where it came from.
    pub origin: Origin,
}

impl Intake {
    /// Whether what was recorded before has a say in what is decided about it: a key, a cooldown, a playbook under way, or the
    /// matches of a window. What has no past can be decided in any order.
    #[must_use]
    pub fn has_a_past(&self) -> bool {
        let mut found = self
            .evaluation
            .matches
            .iter()
            .chain(&self.evaluation.shadows);
        self.key.is_some()
            || found.any(|found| self.rules.holds_back(found) || found.window_value.is_some())
    }
}

/// The sender's key for a request: repeating the request with it has no further effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key, unique within tenant and source for 24 hours.
    pub key: String,
    /// The SHA-256 of the body it was sent with.
    pub body_sha256: [u8; 32],
}

/// Where a request came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The subject of the principal.
    pub subject: String,
    /// The id of the request.
    pub request_id: String,
    /// The W3C trace context that came with it.
    pub traceparent: Option<String>,
}

/// What a ledger commits by, beside the rules.
#[derive(Debug, Clone, Default)]
pub struct CommitTerms {
    /// What decisions are made by.
    pub terms: Terms,
    /// How long after its decision an execution is delivered at the latest.
    pub execution_deadline: TimeDelta,
}

/// What became of one intake.
#[derive(Debug, Clone)]
pub enum CommitOutcome {
    /// It was decided and is durable.
    Recorded(Receipt),
    /// The same request was decided before; nothing was done.
    Replayed(Receipt),
    /// The key was used before with another body; nothing was done.
    KeyReused,
    /// It was evaluated by rules that are not live any more; nothing was done. Evaluate again by the live ones.
    Outdated,
    /// The database refuses this row; nothing was done.
    Rejected(String),
    /// It was not recorded: its commit did not take effect, or what it depends on is damaged.
    Lost,
}

/// A durable decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The event.
    pub event_id: EventId,
    /// The decision.
    pub decision: Decision,
    /// The execution that follows from it.
    pub execution: Option<ExecutionBrief>,
    /// What the server does about it now; nothing for a replay.
    pub consequence: Consequence,
}

/// An execution in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionBrief {
    /// Its id.
    pub id: ExecutionId,
    /// Its playbook.
    pub playbook: PlaybookName,
    /// Where it stands.
    pub state: ExecutionState,
}

/// What the server does about a decision that has just become durable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Consequence {
    /// Nothing.
    #[default]
    None,
    /// Write a log line.
    Log(LogLevel, RuleId),
    /// Deliver an execution.
    Dispatch,
    /// Announce an escalation.
    Announce(Escalation),
}

/// The record of events and decisions.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Decides about a batch and records it in one transaction, in the order given. Gives one outcome for each intake.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] if nothing of the batch was written, [`StorageError::OutcomeUnknown`] if that is
    /// unknown.
    async fn commit(
        &self,
        batch: &[Intake],
        terms: &CommitTerms,
    ) -> Result<Vec<CommitOutcome>, StorageError>;

    /// The receipts of events that may have been recorded, with what the server is to do about them.
    async fn find_receipts(
        &self,
        events: &[(TenantId, EventId)],
    ) -> Result<Vec<Option<Receipt>>, StorageError>;

    /// Forgets idempotency keys that are older than 24 hours, cooldowns that have ended and matches that no window counts
    /// any more, at most `limit` of each. Returns how many of the most frequent kind.
    async fn forget_expired(&self, limit: u32) -> Result<u64, StorageError>;
}
