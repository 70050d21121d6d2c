//! What operators do.

mod rehearse;
mod undo;

use std::sync::Arc;

use chrono::TimeDelta;
use guard_domain::{
    EventTypes, Execution, ExecutionId, ExecutionState, PlaybookName, RuleId, TenantId, suggest,
};
use thiserror::Error;
use tokio::sync::Notify;

use crate::acknowledgements::Acknowledgements;
use crate::ports::{
    Actor, Archive, CancelOutcome, Clock, Controls, OrderOutcome, Outbox, Pause, PauseScope,
    PauseScopeError, Principal, Random, RuleStore, StorageError,
};
use crate::rule_book::RuleBook;
pub use rehearse::{RehearsalRequest, RehearseError};

/// Why something was not done.
#[derive(Debug, Error)]
pub enum OperateError {
    /// There is no such execution.
    #[error("there is no such execution")]
    NotFound,
    /// The execution is in a state that does not allow it.
    #[error("an execution that is `{state}` cannot be {act}")]
    Refused {
        /// What was asked.
        act: &'static str,
        /// The state.
        state: ExecutionState,
    },
    /// The execution was ordered again, and that order is open.
    #[error("the execution was redriven as {0}, which has not ended yet")]
    Redriven(ExecutionId),
    /// The execution is being undone.
    #[error("the execution is being undone by {0}, which has not ended yet")]
    BeingUndone(ExecutionId),
    /// The rule that ordered the execution names no playbook that undoes it.
    #[error(
        "version {version} of the rule `{rule}` names no `rollback` playbook: nothing is known to undo it"
    )]
    NoRollback {
        /// The rule.
        rule: RuleId,
        /// The version.
        version: u32,
    },
    /// The execution undoes another one.
    #[error("the execution undoes another one: to have that again, order its playbook again")]
    Undoing,
    /// The execution was a rehearsal.
    #[error("the execution was a rehearsal: there is nothing to undo")]
    Rehearsal,
    /// The event of the execution has been dropped.
    #[error(
        "the event of the execution is older than `retention` and is not kept any more: nothing could be delivered"
    )]
    EventGone,
    /// No live rule has this id or triggers this playbook.
    #[error("no live rule {what} `{name}`{}", suggest::hint(.nearest.as_deref()))]
    UnknownScope {
        /// How a rule would be concerned.
        what: &'static str,
        /// The id or name as given.
        name: String,
        /// The one that is spelled most like it.
        nearest: Option<String>,
    },
    /// What to pause cannot be read.
    #[error(transparent)]
    Scope(#[from] PauseScopeError),
    /// It could not be recorded.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Pauses and resumes, cancels, redrives, undoes and rehearses, on record.
pub struct OperatorService {
    /// Where executions are.
    pub outbox: Arc<dyn Outbox>,
    /// The live rules.
    pub rules: Arc<RuleBook>,
    /// What was decided before.
    pub archive: Arc<dyn Archive>,
    /// Every version of the rules.
    pub rule_store: Arc<dyn RuleStore>,
    /// The switches.
    pub controls: Arc<dyn Controls>,
    /// Who waits for an acknowledgement.
    pub acknowledgements: Arc<Acknowledgements>,
    /// Wakes the dispatcher.
    pub wake: Arc<Notify>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids.
    pub random: Arc<dyn Random>,
    /// The event types.
    pub event_types: EventTypes,
    /// How long after the order a new execution is delivered at the latest.
    pub execution_deadline: TimeDelta,
}

impl OperatorService {
    /// Holds a scope back, in decisions and in deliveries.
    ///
    /// # Errors
    /// [`OperateError::Scope`] for a text that is no scope.
    pub async fn pause(
        &self,
        principal: &Principal,
        request_id: &str,
        scope: &str,
        reason: &str,
    ) -> Result<Vec<Pause>, OperateError> {
        let scope = PauseScope::parse(scope)?;
        self.check_scope(&principal.tenant, &scope)?;
        let actor = actor(principal, request_id);
        let pauses = self
            .controls
            .pause(&principal.tenant, &scope, reason, &actor)
            .await?;
        tracing::warn!(tenant = %principal.tenant, %scope, by = actor.subject, reason, "paused");
        Ok(pauses)
    }

    /// A typing slip in an emergency must not look like success.
    fn check_scope(&self, tenant: &TenantId, scope: &PauseScope) -> Result<(), OperateError> {
        let rules = self.rules.current(tenant);
        let (what, name, known): (_, _, Vec<&str>) = match scope {
            PauseScope::All => return Ok(()),
            PauseScope::Rule(id) => (
                "has the id",
                id.as_str(),
                rules.rules().map(|(rule, _)| rule.id.as_str()).collect(),
            ),
            PauseScope::Playbook(name) => {
                let playbooks = rules.rules().flat_map(|(rule, _)| rule.playbooks());
                (
                    "names the playbook",
                    name.as_str(),
                    playbooks.map(PlaybookName::as_str).collect(),
                )
            }
        };
        if known.contains(&name) {
            return Ok(());
        }
        let nearest = suggest::nearest(name, known).map(str::to_owned);
        Err(OperateError::UnknownScope {
            what,
            name: name.to_owned(),
            nearest,
        })
    }

    /// What is paused.
    ///
    /// # Errors
    /// [`OperateError::Storage`] if it cannot be read.
    pub async fn pauses(&self, principal: &Principal) -> Result<Vec<Pause>, OperateError> {
        Ok(self.controls.pauses(&principal.tenant).await?)
    }

    /// Lets a scope go on.
    ///
    /// # Errors
    /// [`OperateError::Scope`] for a text that is no scope.
    pub async fn resume(
        &self,
        principal: &Principal,
        request_id: &str,
        scope: &str,
        reason: &str,
    ) -> Result<Vec<Pause>, OperateError> {
        let scope = PauseScope::parse(scope)?;
        let actor = actor(principal, request_id);
        let pauses = self
            .controls
            .resume(&principal.tenant, &scope, reason, &actor)
            .await?;
        tracing::warn!(tenant = %principal.tenant, %scope, by = actor.subject, reason, "resumed");
        self.wake.notify_one();
        Ok(pauses)
    }

    /// Calls off an execution that has not been delivered.
    ///
    /// # Errors
    /// [`OperateError::Refused`] if it is being delivered, was delivered or has ended.
    pub async fn cancel(
        &self,
        principal: &Principal,
        request_id: &str,
        id: ExecutionId,
    ) -> Result<Execution, OperateError> {
        let actor = actor(principal, request_id);
        match self.outbox.cancel(&principal.tenant, id, &actor).await? {
            CancelOutcome::Cancelled(execution) => {
                self.acknowledgements
                    .tell(execution.event_id, execution.state);
                Ok(execution)
            }
            CancelOutcome::Refused(state) => Err(OperateError::Refused {
                act: "cancelled",
                state,
            }),
            CancelOutcome::NotFound => Err(OperateError::NotFound),
        }
    }

    /// Orders an execution that has ended again, as a new one with an id of its own.
    ///
    /// # Errors
    /// [`OperateError::Refused`] if it has not ended, or has succeeded.
    pub async fn redrive(
        &self,
        principal: &Principal,
        request_id: &str,
        id: ExecutionId,
    ) -> Result<Execution, OperateError> {
        let actor = actor(principal, request_id);
        let deadline = self.execution_deadline;
        let outcome = self
            .outbox
            .redrive(&principal.tenant, id, deadline, &actor)
            .await?;
        self.ordered(outcome, "redriven", OperateError::Redriven)
    }

    /// The execution that was ordered, or why none was.
    fn ordered(
        &self,
        outcome: OrderOutcome,
        act: &'static str,
        open: fn(ExecutionId) -> OperateError,
    ) -> Result<Execution, OperateError> {
        match outcome {
            OrderOutcome::Ordered(execution) => {
                self.wake.notify_one();
                Ok(execution)
            }
            OrderOutcome::Refused(state) => Err(OperateError::Refused { act, state }),
            OrderOutcome::Rehearsal => Err(OperateError::Rehearsal),
            OrderOutcome::Open(id) => Err(open(id)),
            OrderOutcome::EventGone => Err(OperateError::EventGone),
            OrderOutcome::NotFound => Err(OperateError::NotFound),
        }
    }
}

fn actor(principal: &Principal, request_id: &str) -> Actor {
    Actor {
        subject: principal.subject.clone(),
        request_id: Some(request_id.to_owned()),
    }
}
