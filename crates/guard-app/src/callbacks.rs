//! What workflows report.

mod refusal;

use std::sync::Arc;

use guard_domain::{Execution, ExecutionId, TenantId};
use thiserror::Error;

use crate::acknowledgements::Acknowledgements;
use crate::callback_token::{CallbackTokenError, CallbackTokens};
use crate::outcome::count_result;
use crate::ports::{
    Archive, AuditLog, Clock, ConfirmTimes, FinishOutcome, Outbox, StartOutcome, StorageError,
    WorkflowResult,
};
pub use refusal::Refusals;

/// Why a report was not taken.
#[derive(Debug, Error)]
pub enum CallbackError {
    /// The token is none of ours, is for another execution, or has expired.
    #[error("the callback token is not valid for this execution")]
    Unauthorized,
    /// The execution is gone.
    #[error("there is no such execution")]
    NotFound,
    /// The workflow must stop, or has nothing to report any more.
    #[error("{0}")]
    Conflict(String),
    /// It could not be recorded.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Takes `start` and `result` from workflows.
pub struct CallbackService {
    /// Where executions are.
    pub outbox: Arc<dyn Outbox>,
    /// What was decided before.
    pub archive: Arc<dyn Archive>,
    /// Where refused callbacks go on record.
    pub audit: Arc<dyn AuditLog>,
    /// Which did lately.
    pub refusals: Refusals,
    /// Checks callback tokens.
    pub tokens: Arc<CallbackTokens>,
    /// Who waits for an acknowledgement.
    pub acknowledgements: Arc<Acknowledgements>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long a workflow may take to report.
    pub confirm_within: ConfirmTimes,
}

impl CallbackService {
    async fn authorize(
        &self,
        token: &str,
        id: ExecutionId,
        request_id: &str,
    ) -> Result<TenantId, CallbackError> {
        match self.tokens.verify(token, id, self.clock.now()).await {
            Ok(tenant) => Ok(tenant),
            Err(CallbackTokenError::Refused) => {
                self.note_refusal(token, id, request_id).await;
                Err(CallbackError::Unauthorized)
            }
            Err(CallbackTokenError::Storage(error)) => Err(error.into()),
        }
    }

    /// A workflow begins. Only the first one may go on, and the same one again, because an answer can get lost.
    ///
    /// # Errors
    /// [`CallbackError::Conflict`] tells the workflow to stop.
    pub async fn start(
        &self,
        token: &str,
        id: ExecutionId,
        n8n_execution_id: &str,
        request_id: &str,
    ) -> Result<Execution, CallbackError> {
        let tenant = self.authorize(token, id, request_id).await?;
        let outcome = self
            .outbox
            .start(&tenant, id, n8n_execution_id, &self.confirm_within)
            .await?;
        match outcome {
            StartOutcome::Started(execution) => {
                self.acknowledgements
                    .tell(execution.event_id, execution.state);
                Ok(execution)
            }
            StartOutcome::Refused(why) => Err(CallbackError::Conflict(why)),
            StartOutcome::NotFound => Err(CallbackError::NotFound),
        }
    }

    /// A workflow ends. Repeats change nothing.
    ///
    /// # Errors
    /// [`CallbackError::Conflict`] for an execution that ended in a way no result can change.
    pub async fn finish(
        &self,
        token: &str,
        id: ExecutionId,
        result: &WorkflowResult,
        request_id: &str,
    ) -> Result<Execution, CallbackError> {
        let tenant = self.authorize(token, id, request_id).await?;
        match self.outbox.finish(&tenant, id, result).await? {
            FinishOutcome::Finished(execution) => {
                self.note_end(&execution);
                Ok(execution)
            }
            FinishOutcome::Repeated(execution) => Ok(execution),
            FinishOutcome::Refused(why) => Err(CallbackError::Conflict(why)),
            FinishOutcome::NotFound => Err(CallbackError::NotFound),
        }
    }

    fn note_end(&self, execution: &Execution) {
        self.acknowledgements
            .tell(execution.event_id, execution.state);
        let now = self.clock.now();
        count_result(execution, now);
        let duration = now - execution.executed_at;
        tracing::info!(
            execution_id = %execution.id,
            playbook = %execution.playbook,
            state = %execution.state,
            seconds = duration.to_std().unwrap_or_default().as_secs_f64(),
            "{}",
            execution.message.as_deref().unwrap_or("a workflow reported its result")
        );
    }
}
