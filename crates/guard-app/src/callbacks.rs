//! What workflows report.

use std::sync::Arc;

use chrono::TimeDelta;
use guard_domain::{Execution, ExecutionId, TenantId};
use thiserror::Error;

use crate::acknowledgements::Acknowledgements;
use crate::callback_token::{CallbackTokenError, CallbackTokens};
use crate::metric;
use crate::ports::{Clock, FinishOutcome, Outbox, StartOutcome, StorageError, WorkflowResult};

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
    /// Checks callback tokens.
    pub tokens: Arc<CallbackTokens>,
    /// Who waits for an acknowledgement.
    pub acknowledgements: Arc<Acknowledgements>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long a workflow may take to report.
    pub confirm_within: TimeDelta,
}

impl CallbackService {
    async fn authorize(&self, token: &str, id: ExecutionId) -> Result<TenantId, CallbackError> {
        self.tokens.verify(token, id, self.clock.now()).await.map_err(|error| match error {
            CallbackTokenError::Refused => {
                tracing::warn!(execution_id = %id, "a callback was refused: its token is not valid");
                CallbackError::Unauthorized
            }
            CallbackTokenError::Storage(error) => error.into(),
        })
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
    ) -> Result<Execution, CallbackError> {
        let tenant = self.authorize(token, id).await?;
        let outcome = self
            .outbox
            .start(&tenant, id, n8n_execution_id, self.confirm_within)
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
    ) -> Result<Execution, CallbackError> {
        let tenant = self.authorize(token, id).await?;
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
        let playbook = execution.playbook.as_str();
        metric::count_by(
            metric::EXECUTIONS_ENDED,
            playbook,
            "state",
            execution.state.as_str(),
        );
        let duration = self.clock.now() - execution.executed_at;
        let seconds = duration.to_std().unwrap_or_default().as_secs_f64();
        metrics::histogram!(metric::EXECUTION_DURATION, "playbook" => playbook.to_owned())
            .record(seconds);
        tracing::info!(
            execution_id = %execution.id,
            playbook,
            state = %execution.state,
            seconds,
            "{}",
            execution.message.as_deref().unwrap_or("a workflow reported its result")
        );
    }
}
