//! What operators do.

use std::sync::Arc;

use chrono::TimeDelta;
use guard_domain::{Execution, ExecutionId, ExecutionState};
use thiserror::Error;
use tokio::sync::Notify;

use crate::acknowledgements::Acknowledgements;
use crate::ports::{
    Actor, CancelOutcome, Controls, Outbox, Pause, PauseScope, PauseScopeError, Principal,
    RedriveOutcome, StorageError,
};

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
    /// What to pause cannot be read.
    #[error(transparent)]
    Scope(#[from] PauseScopeError),
    /// It could not be recorded.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Pauses and resumes, cancels and redrives, on record.
pub struct OperatorService {
    /// Where executions are.
    pub outbox: Arc<dyn Outbox>,
    /// The switches.
    pub controls: Arc<dyn Controls>,
    /// Who waits for an acknowledgement.
    pub acknowledgements: Arc<Acknowledgements>,
    /// Wakes the dispatcher.
    pub wake: Arc<Notify>,
    /// How long after a redrive the new execution is delivered at the latest.
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
        let actor = actor(principal, request_id);
        let pauses = self
            .controls
            .pause(&principal.tenant, &scope, reason, &actor)
            .await?;
        tracing::warn!(tenant = %principal.tenant, %scope, by = actor.subject, reason, "paused");
        Ok(pauses)
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
        match self
            .outbox
            .redrive(&principal.tenant, id, deadline, &actor)
            .await?
        {
            RedriveOutcome::Redriven(execution) => {
                self.wake.notify_one();
                Ok(execution)
            }
            RedriveOutcome::Refused(state) => Err(OperateError::Refused {
                act: "redriven",
                state,
            }),
            RedriveOutcome::NotFound => Err(OperateError::NotFound),
        }
    }
}

fn actor(principal: &Principal, request_id: &str) -> Actor {
    Actor {
        subject: principal.subject.clone(),
        request_id: Some(request_id.to_owned()),
    }
}
