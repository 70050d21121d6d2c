//! Executions that wait to be delivered, and how they end.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use guard_domain::{AttemptOutcome, Escalation, Execution, ExecutionId, PlaybookName, TenantId};

use super::{Actor, CancelOutcome, OrderOutcome, Rehearsal, StorageError, Undone};

/// What an instance is ready to deliver.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// The instance.
    pub instance: String,
    /// How many at most.
    pub limit: u32,
    /// How long the claim holds; after that another instance may take over.
    pub lease: Duration,
    /// How many of one playbook at most.
    pub of_each: u32,
    /// The playbooks of which it can deliver fewer, and how many; 0 for none.
    pub fewer_of: HashMap<PlaybookName, u32>,
}

impl ClaimRequest {
    /// How many of a playbook at most.
    #[must_use]
    pub fn room(&self, playbook: &PlaybookName) -> u32 {
        let fewer = self.fewer_of.get(playbook).copied();
        fewer.unwrap_or(u32::MAX).min(self.of_each).min(self.limit)
    }

    /// The playbooks that it cannot deliver now.
    pub fn full(&self) -> impl Iterator<Item = &PlaybookName> {
        let full = self.fewer_of.iter().filter(|(_, room)| **room == 0);
        full.map(|(playbook, _)| playbook)
    }

    /// Whether more may be due than what was claimed with it, one of each of these playbooks, because there was no room.
    pub fn leaves<'a>(&self, claimed: impl Iterator<Item = &'a PlaybookName>) -> bool {
        let mut counts = HashMap::new();
        for playbook in claimed {
            *counts.entry(playbook).or_insert(0_u32) += 1;
        }
        counts.values().sum::<u32>() >= self.limit
            || self.full().next().is_some()
            || counts
                .iter()
                .any(|(playbook, count)| *count >= self.room(playbook))
    }
}

/// An execution that this instance is to deliver.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Whose it is.
    pub tenant: TenantId,
    /// The execution; `attempts` counts this one.
    pub execution: Execution,
    /// The fencing epoch of this claim: what an older claim reports has no effect.
    pub epoch: u64,
    /// What to send: the text of a JSON object.
    pub params: String,
    /// What it undoes.
    pub undoes: Option<Undone>,
    /// The event, as the text that was sent.
    pub event: String,
    /// When the event was received.
    pub received_at: DateTime<Utc>,
    /// The W3C trace context of the request that brought the event.
    pub traceparent: Option<String>,
    /// Since when n8n has said that the playbook is not registered.
    pub unregistered_since: Option<DateTime<Utc>>,
}

/// What one attempt at a delivery came to, and what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptReport {
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// n8n's HTTP status.
    pub status_code: Option<u16>,
    /// What was seen, in a sentence.
    pub detail: String,
    /// The body of n8n's answer as it came.
    pub answer: Option<String>,
    /// Whether the workflow may have run because of it.
    pub may_have_run: bool,
    /// Since when n8n has said that the playbook is not registered.
    pub unregistered_since: Option<DateTime<Utc>>,
    /// The call for a human that goes with it; at most one of each reason for an execution.
    pub escalation: Option<Escalation>,
    /// What follows.
    pub next: NextStep,
}

/// What follows from an attempt, unless the workflow has spoken meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    /// n8n has it: the workflow is to report within this time.
    Acknowledge {
        /// How long the workflow may take to report.
        confirm_within: TimeDelta,
    },
    /// Try again.
    Retry {
        /// When.
        at: DateTime<Utc>,
    },
    /// Give up: `dead` if no attempt can have run, else `unconfirmed`. A human is called.
    GiveUp,
    /// It ran and failed.
    Fail,
}

/// Where an execution stands after an attempt was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The execution's tenant.
    pub tenant: TenantId,
    /// The execution.
    pub execution: Execution,
    /// Whether this is what ended it.
    pub ended: bool,
    /// The call for a human that follows.
    pub escalation: Option<Escalation>,
}

/// What a workflow says about its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartOutcome {
    /// It may go on: it is the first, or the same one again.
    Started(Execution),
    /// It must stop, and why.
    Refused(String),
    /// There is no such execution.
    NotFound,
}

/// What a workflow reports at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowResult {
    /// Whether it did its work.
    pub succeeded: bool,
    /// What it says.
    pub message: Option<String>,
    /// What it gives: JSON text.
    pub data: Option<String>,
}

/// What became of a workflow's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishOutcome {
    /// It is on record.
    Finished(Execution),
    /// A result was on record before; nothing changed.
    Repeated(Execution),
    /// The execution ended without a result that could be reported, and why.
    Refused(String),
    /// There is no such execution.
    NotFound,
}

/// How long a workflow may take to report, after the acknowledgement.
#[derive(Debug, Clone)]
pub struct ConfirmTimes {
    /// A workflow that is not named.
    pub default: TimeDelta,
    /// Workflows that take longer, or must be quicker.
    pub by_playbook: HashMap<PlaybookName, TimeDelta>,
}

impl ConfirmTimes {
    /// The time of a playbook.
    #[must_use]
    pub fn of(&self, playbook: &PlaybookName) -> TimeDelta {
        *self.by_playbook.get(playbook).unwrap_or(&self.default)
    }
}

impl From<TimeDelta> for ConfirmTimes {
    /// The same time for every playbook.
    fn from(default: TimeDelta) -> Self {
        Self {
            default,
            by_playbook: HashMap::new(),
        }
    }
}

/// The executions that wait to be delivered.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Claims executions that are due: the most severe first, of equal ones the oldest. Paused ones are left alone.
    /// What another instance claimed is taken over when its lease has ended.
    async fn claim_due(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StorageError>;

    /// Records an attempt and what follows from it. If the claim is not the newest, or the workflow has spoken
    /// meanwhile, only the attempt is recorded. Returns where the execution stands.
    async fn settle(
        &self,
        claimed: &Claimed,
        report: &AttemptReport,
    ) -> Result<Settled, StorageError>;

    /// The workflow begins.
    async fn start(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        n8n_execution_id: &str,
        confirm_within: &ConfirmTimes,
    ) -> Result<StartOutcome, StorageError>;

    /// The workflow ends. If it undid another execution, that one becomes `rolled_back`.
    async fn finish(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        result: &WorkflowResult,
    ) -> Result<FinishOutcome, StorageError>;

    /// Cancels an execution that has not been delivered, on record.
    async fn cancel(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        actor: &Actor,
    ) -> Result<CancelOutcome, StorageError>;

    /// Orders an execution that has ended again, as a new one, on record.
    async fn redrive(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        deadline: TimeDelta,
        actor: &Actor,
    ) -> Result<OrderOutcome, StorageError>;

    /// Orders an execution undone by another playbook, with the same params under a new id, on record.
    async fn undo(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        rollback: &PlaybookName,
        deadline: TimeDelta,
        actor: &Actor,
    ) -> Result<OrderOutcome, StorageError>;

    /// Orders a rehearsal, on record: with its event, and without a cooldown. It holds no rule back.
    async fn rehearse(
        &self,
        tenant: &TenantId,
        rehearsal: &Rehearsal,
        actor: &Actor,
    ) -> Result<Execution, StorageError>;

    /// Executions that are `unconfirmed` since this moment or later and whose workflow has told its run's id, the newest
    /// first. At most `limit` of them.
    async fn unconfirmed(
        &self,
        since: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<(TenantId, Execution)>, StorageError>;

    /// Ends executions whose time has run out: undelivered ones past their deadline, delivered ones without a result in
    /// time. At most `limit` of them.
    async fn expire(&self, limit: u32) -> Result<Vec<Settled>, StorageError>;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_there_was_no_room_for_may_be_left() {
        let name = |name: &str| PlaybookName::parse(name).unwrap();
        let leaves = |limit, fewer_of: &[(&str, u32)], claimed: &[&str]| {
            let request = ClaimRequest {
                instance: "test".to_owned(),
                limit,
                lease: Duration::from_secs(60),
                of_each: 2,
                fewer_of: fewer_of
                    .iter()
                    .map(|(playbook, room)| (name(playbook), *room))
                    .collect(),
            };
            let claimed: Vec<_> = claimed.iter().map(|playbook| name(playbook)).collect();
            request.leaves(claimed.iter())
        };
        assert!(!leaves(3, &[], &[]));
        assert!(!leaves(3, &[], &["a", "b"]));
        assert!(leaves(3, &[], &["a", "b", "c"]), "as many as it asked for");
        assert!(leaves(3, &[], &["a", "a"]), "as many as of each");
        assert!(!leaves(3, &[("b", 1)], &["a"]));
        assert!(leaves(3, &[("a", 1)], &["a"]), "as many as of this one");
        assert!(leaves(3, &[("b", 0)], &["a"]), "none of another");
    }
}
