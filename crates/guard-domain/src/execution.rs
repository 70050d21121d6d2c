//! One run of a playbook, from the decision to its proof.

use chrono::{DateTime, Utc};

use crate::{EventId, ExecutionId, PlaybookName, RuleId, Severity};

crate::words::words! {
    /// Where an execution stands.
    pub enum ExecutionState as "execution state" {
        /// Waits for a human's approval.
        AwaitingApproval => "awaiting_approval",
        /// Waits for a human to take over, or for the grace period to end.
        AwaitingAcknowledgement => "awaiting_acknowledgement",
        /// To be delivered, now or at its next attempt.
        Queued => "queued",
        /// Claimed by an instance that is calling n8n.
        Dispatching => "dispatching",
        /// n8n has taken it; not a proof that it ran.
        Acknowledged => "acknowledged",
        /// The workflow says that it has begun.
        Started => "started",
        /// The workflow says that it did its work.
        Succeeded => "succeeded",
        /// The workflow ran and failed.
        Failed => "failed",
        /// It may have run, and nobody said how it ended.
        Unconfirmed => "unconfirmed",
        /// It could not be delivered.
        Dead => "dead",
        /// A human cancelled it before it was delivered.
        Cancelled => "cancelled",
        /// A human denied its approval.
        Denied => "denied",
        /// Nobody approved it in time.
        Expired => "expired",
        /// Nothing was called: a rule or the server is in dry-run.
        DryRun => "dry_run",
        /// It was undone by its rollback playbook.
        RolledBack => "rolled_back",
    }
}

impl ExecutionState {
    /// Nothing can change it any more, a late result included.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Succeeded
                | Self::Failed
                | Self::Cancelled
                | Self::Denied
                | Self::Expired
                | Self::DryRun
                | Self::RolledBack
        )
    }

    /// No delivery of it has been acknowledged: its rule must not pile up another one for the same cooldown value.
    #[must_use]
    pub const fn is_undelivered(self) -> bool {
        matches!(self, Self::Queued | Self::Dispatching)
    }

    /// The workflow may begin now.
    #[must_use]
    pub const fn may_start(self) -> bool {
        matches!(
            self,
            Self::Queued | Self::Dispatching | Self::Acknowledged | Self::Started
        )
    }

    /// Delivery has not been acknowledged nor has the workflow begun: a human can still call it off.
    #[must_use]
    pub const fn may_cancel(self) -> bool {
        matches!(
            self,
            Self::AwaitingApproval | Self::AwaitingAcknowledgement | Self::Queued
        )
    }

    /// It ended, so that a human may order a new one in its place.
    #[must_use]
    pub const fn may_redrive(self) -> bool {
        matches!(
            self,
            Self::Dead | Self::Unconfirmed | Self::Failed | Self::Cancelled | Self::Expired
        )
    }

    /// It ended and may have had an effect, so that a human may order it undone.
    #[must_use]
    pub const fn may_undo(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Unconfirmed)
    }
}

/// One run of a playbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// Its id; every delivery carries it.
    pub id: ExecutionId,
    /// The event it answers.
    pub event_id: EventId,
    /// The rule that ordered it.
    pub rule_id: RuleId,
    /// The version of that rule.
    pub rule_version: u32,
    /// The playbook.
    pub playbook: PlaybookName,
    /// The severity of its event: the order of delivery.
    pub severity: Severity,
    /// Whether the workflow is only to say what it would do: a human has ordered a rehearsal.
    pub dry_run: bool,
    /// Where it stands.
    pub state: ExecutionState,
    /// How many deliveries were attempted.
    pub attempts: u32,
    /// What is worth knowing about its state, in a sentence.
    pub message: Option<String>,
    /// When it was decided.
    pub executed_at: DateTime<Utc>,
    /// After this moment it is not delivered any more.
    pub deadline: DateTime<Utc>,
    /// When the next attempt is due.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When n8n acknowledged it.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// When the workflow said that it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// n8n's own id of the run, as the workflow told it.
    pub n8n_execution_id: Option<String>,
    /// The `data` of the workflow's result, as JSON text.
    pub result_data: Option<String>,
    /// The execution that a human ordered again.
    pub redrive_of: Option<ExecutionId>,
    /// The execution that this one undoes.
    pub rollback_of: Option<ExecutionId>,
}

crate::words::words! {
    /// How one attempt at a delivery ended.
    pub enum AttemptOutcome as "attempt outcome" {
        /// n8n took it.
        Acknowledged => "acknowledged",
        /// It failed in a way that may pass.
        Retry => "retry",
        /// n8n refuses our token.
        TokenRefused => "token_refused",
        /// It failed for good.
        Rejected => "rejected",
        /// The workflow ran and failed.
        WorkflowFailed => "workflow_failed",
    }
}

/// One attempt at delivering an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended; `None` while it is under way, or if the instance died with it.
    pub finished_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Option<AttemptOutcome>,
    /// n8n's HTTP status.
    pub status_code: Option<u16>,
    /// What was seen, in a sentence.
    pub detail: Option<String>,
    /// The body of n8n's answer as it came, the first 8 KiB of it.
    pub answer: Option<String>,
    /// Whether the workflow may have run because of it.
    pub may_have_run: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_result_is_welcome_exactly_where_nothing_is_final() {
        let open: Vec<_> = ExecutionState::ALL
            .iter()
            .filter(|state| !state.is_final())
            .collect();
        assert!(
            open.contains(&&ExecutionState::Dead) && open.contains(&&ExecutionState::Unconfirmed)
        );
        for state in ExecutionState::ALL {
            assert!(!(state.is_final() && state.may_start()), "{state}");
            assert!(!(state.is_final() && state.is_undelivered()), "{state}");
            assert!(!(state.may_undo() && state.may_start()), "{state}");
            assert_eq!(ExecutionState::parse(state.as_str()), Ok(*state));
        }
    }
}
