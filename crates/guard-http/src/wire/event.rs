//! Events and what is answered to them.

use guard_app::Answer;
use guard_app::ports::EventRecord;
use guard_domain::{Decision, DecisionKind, Event, timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::raw;

/// What is answered to an event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventAnswer {
    /// Always `processed`: the event and what was decided about it are durable.
    #[schema(example = "processed")]
    status: &'static str,
    /// The event's id.
    event_id: String,
    /// What was decided; `playbook_queued` while n8n has not acknowledged a triggered playbook.
    #[schema(example = "playbook_triggered")]
    decision: &'static str,
    /// The playbook, if one is triggered.
    #[schema(example = "backup-recovery")]
    playbook_triggered: Option<String>,
    /// The rule that decided.
    rule_id: Option<String>,
    /// The execution that follows.
    execution_id: Option<String>,
    /// Why, in a sentence.
    #[schema(example = "Triggered playbook: backup-recovery")]
    message: String,
}

impl From<&Answer> for EventAnswer {
    fn from(answer: &Answer) -> Self {
        let receipt = &answer.receipt;
        let Decision {
            kind,
            rule_id,
            message,
            ..
        } = &receipt.decision;
        let execution = receipt.execution.as_ref();
        let triggers = matches!(
            kind,
            DecisionKind::PlaybookTriggered
                | DecisionKind::AwaitingApproval
                | DecisionKind::AwaitingAcknowledgement
        );
        let playbook = execution
            .filter(|_| triggers)
            .map(|execution| &execution.playbook);
        let (decision, message) = match (answer.is_queued(), execution) {
            (true, Some(execution)) if execution.state.is_undelivered() => (
                "playbook_queued",
                format!(
                    "Queued playbook: {}; n8n has not acknowledged it yet",
                    execution.playbook
                ),
            ),
            (true, Some(execution)) => (
                "playbook_queued",
                format!(
                    "Queued playbook: {}; its execution is `{}`",
                    execution.playbook, execution.state
                ),
            ),
            _ => (kind.as_str(), message.clone()),
        };
        Self {
            status: "processed",
            event_id: receipt.event_id.to_string(),
            decision,
            playbook_triggered: playbook.map(ToString::to_string),
            rule_id: rule_id.as_ref().map(ToString::to_string),
            execution_id: execution.map(|execution| execution.id.to_string()),
            message,
        }
    }
}

/// What is answered to a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchAnswer {
    /// One for each event, in order.
    pub(crate) items: Vec<BatchItem>,
}

/// What is answered to one event of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchItem {
    /// The place of the event in the batch, from 0.
    pub(crate) index: usize,
    /// The HTTP status that the event would have been answered alone.
    #[schema(example = 200)]
    pub(crate) status: u16,
    /// The body: that of `POST /events`, or a problem.
    #[schema(value_type = Object)]
    pub(crate) body: Box<RawValue>,
}

/// An event on record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventDocument {
    /// The event as sent, with `id` and `received_at`, and the sender's own id as `sender_id`.
    #[schema(value_type = Object)]
    event: Box<RawValue>,
    /// What was decided about it.
    decision: DecisionBody,
    /// The execution that followed.
    execution: Option<ExecutionBrief>,
}

/// A decision on record.
#[derive(Debug, Serialize, ToSchema)]
struct DecisionBody {
    /// What was decided.
    #[schema(example = "playbook_triggered")]
    decision: &'static str,
    /// The rule that decided.
    rule_id: Option<String>,
    /// Its version.
    rule_version: Option<u32>,
    /// The revision of the rules.
    revision: u64,
    /// Why, in a sentence.
    message: String,
    /// When.
    executed_at: String,
}

/// An execution in short.
#[derive(Debug, Serialize, ToSchema)]
struct ExecutionBrief {
    /// Its id.
    id: String,
    /// Its playbook.
    playbook: String,
    /// Where it stands.
    #[schema(example = "succeeded")]
    state: &'static str,
    /// How many deliveries were attempted.
    attempts: u32,
}

impl From<EventRecord> for EventDocument {
    fn from(record: EventRecord) -> Self {
        let decision = record.decision;
        let attempts = record.attempts;
        Self {
            event: raw(Event::with_identity(
                &record.body,
                record.id,
                record.received_at,
            )),
            decision: DecisionBody {
                decision: decision.kind.as_str(),
                rule_id: decision.rule_id.map(|id| id.to_string()),
                rule_version: decision.rule_version,
                revision: decision.revision,
                message: decision.message,
                executed_at: timestamp::format(record.executed_at),
            },
            execution: record.execution.map(|execution| ExecutionBrief {
                id: execution.id.to_string(),
                playbook: execution.playbook.to_string(),
                state: execution.state.as_str(),
                attempts,
            }),
        }
    }
}
