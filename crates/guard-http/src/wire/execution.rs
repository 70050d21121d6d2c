//! Executions, pauses.

use chrono::{DateTime, Utc};
use guard_app::ports::{ExecutionDetail, Pause};
use guard_domain::{Attempt, Execution, timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::raw;

fn optional(moment: Option<DateTime<Utc>>) -> Option<String> {
    moment.map(timestamp::format)
}

/// One run of a playbook.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExecutionBody {
    /// Its id.
    id: String,
    /// The event it answers.
    event_id: String,
    /// The rule that ordered it.
    rule_id: String,
    /// The version of that rule.
    rule_version: u32,
    /// The playbook.
    playbook: String,
    /// The severity of its event.
    severity: &'static str,
    /// Whether the workflow is only to say what it would do.
    dry_run: bool,
    /// Where it stands.
    #[schema(example = "acknowledged")]
    state: &'static str,
    /// How many deliveries were attempted.
    attempts: u32,
    /// What is worth knowing about its state.
    message: Option<String>,
    /// When it was decided.
    executed_at: String,
    /// After this moment it is not delivered any more.
    deadline: String,
    /// When the next attempt is due.
    next_attempt_at: Option<String>,
    /// When n8n acknowledged it.
    acknowledged_at: Option<String>,
    /// When the workflow said that it began.
    started_at: Option<String>,
    /// When it ended.
    finished_at: Option<String>,
    /// n8n's own id of the run.
    n8n_execution_id: Option<String>,
    /// The `data` of the workflow's result.
    #[schema(value_type = Option<Object>)]
    data: Option<Box<RawValue>>,
    /// The execution that was ordered again.
    redrive_of: Option<String>,
    /// The execution that this one undoes.
    rollback_of: Option<String>,
}

impl From<Execution> for ExecutionBody {
    fn from(execution: Execution) -> Self {
        Self {
            id: execution.id.to_string(),
            event_id: execution.event_id.to_string(),
            rule_id: execution.rule_id.to_string(),
            rule_version: execution.rule_version,
            playbook: execution.playbook.to_string(),
            severity: execution.severity.as_str(),
            dry_run: execution.dry_run,
            state: execution.state.as_str(),
            attempts: execution.attempts,
            message: execution.message,
            executed_at: timestamp::format(execution.executed_at),
            deadline: timestamp::format(execution.deadline),
            next_attempt_at: optional(execution.next_attempt_at),
            acknowledged_at: optional(execution.acknowledged_at),
            started_at: optional(execution.started_at),
            finished_at: optional(execution.finished_at),
            n8n_execution_id: execution.n8n_execution_id,
            data: execution.result_data.map(raw),
            redrive_of: execution.redrive_of.map(|id| id.to_string()),
            rollback_of: execution.rollback_of.map(|id| id.to_string()),
        }
    }
}

/// An execution with what is sent and every attempt at sending it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExecutionDetailBody {
    #[serde(flatten)]
    execution: ExecutionBody,
    /// What is sent.
    #[schema(value_type = Object)]
    params: Box<RawValue>,
    /// Every attempt, in order.
    attempt_log: Vec<AttemptBody>,
}

/// One attempt at a delivery.
#[derive(Debug, Serialize, ToSchema)]
struct AttemptBody {
    /// Counted from 1.
    attempt: u32,
    /// When it began.
    started_at: String,
    /// When it ended; `null` while it is under way, or if the instance died with it.
    finished_at: Option<String>,
    /// How it ended.
    outcome: Option<&'static str>,
    /// n8n's HTTP status.
    status_code: Option<u16>,
    /// What was seen.
    detail: Option<String>,
    /// The body of n8n's answer as it came, the first 8 KiB of it.
    answer: Option<String>,
    /// Whether the workflow may have run because of it.
    may_have_run: bool,
}

impl From<Attempt> for AttemptBody {
    fn from(attempt: Attempt) -> Self {
        Self {
            attempt: attempt.number,
            started_at: timestamp::format(attempt.started_at),
            finished_at: optional(attempt.finished_at),
            outcome: attempt.outcome.map(guard_domain::AttemptOutcome::as_str),
            status_code: attempt.status_code,
            detail: attempt.detail,
            answer: attempt.answer,
            may_have_run: attempt.may_have_run,
        }
    }
}

impl From<ExecutionDetail> for ExecutionDetailBody {
    fn from(detail: ExecutionDetail) -> Self {
        Self {
            execution: detail.execution.into(),
            params: raw(detail.params),
            attempt_log: detail.attempts.into_iter().map(Into::into).collect(),
        }
    }
}

/// What a workflow is answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallbackAnswer {
    /// The execution.
    execution_id: String,
    /// Where it stands.
    #[schema(example = "started")]
    state: &'static str,
}

impl From<Execution> for CallbackAnswer {
    fn from(execution: Execution) -> Self {
        Self {
            execution_id: execution.id.to_string(),
            state: execution.state.as_str(),
        }
    }
}

/// Something that is paused.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PauseBody {
    /// What: `all`, `rule:<id>` or `playbook:<name>`.
    #[schema(example = "playbook:intrusion-lockdown")]
    scope: String,
    /// Why.
    reason: String,
    /// Who did it.
    paused_by: String,
    /// Since when.
    paused_at: String,
}

impl From<Pause> for PauseBody {
    fn from(pause: Pause) -> Self {
        Self {
            scope: pause.scope.to_string(),
            reason: pause.reason,
            paused_by: pause.paused_by,
            paused_at: timestamp::format(pause.paused_at),
        }
    }
}
