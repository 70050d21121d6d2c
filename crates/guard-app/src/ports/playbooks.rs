//! What runs playbooks.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use guard_domain::{ExecutionId, PlaybookName, RuleId, TenantId};
use secrecy::SecretString;

/// One delivery of an execution.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Whose execution it is.
    pub tenant: TenantId,
    /// The execution; the same for every delivery of it.
    pub execution_id: ExecutionId,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The playbook.
    pub playbook: PlaybookName,
    /// What to send: the text of a JSON object.
    pub params: String,
    /// The event, as JSON text.
    pub event: String,
    /// The rule that ordered it.
    pub rule_id: RuleId,
    /// Its version.
    pub rule_version: u32,
    /// Whether the workflow is only to say what it would do.
    pub dry_run: bool,
    /// What the workflow is to undo.
    pub undoes: Option<Undone>,
    /// Where the workflow reports: `/start` and `/result` are appended.
    pub callback_url: String,
    /// What it reports with.
    pub callback_token: SecretString,
    /// After this moment it must not begin.
    pub deadline: DateTime<Utc>,
    /// The W3C trace context to pass on.
    pub traceparent: Option<String>,
}

/// An execution that another one undoes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// The execution.
    pub execution_id: ExecutionId,
    /// The `data` of the result that its workflow reported, as JSON text.
    pub data: Option<String>,
}

/// What came back from a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// What the delivery came to.
    pub outcome: DeliveryOutcome,
    /// The body of the answer as it came, at most [`MAX_ANSWER_BYTES`] of it.
    pub body: Option<String>,
}

/// How much of an answer is kept, in bytes.
pub const MAX_ANSWER_BYTES: usize = 8 * 1024;

impl From<DeliveryOutcome> for Answered {
    fn from(outcome: DeliveryOutcome) -> Self {
        Self {
            outcome,
            body: None,
        }
    }
}

/// What a delivery came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// It was taken; no proof that it ran.
    Acknowledged {
        /// The HTTP status.
        status: u16,
        /// What was answered, in a sentence.
        detail: String,
    },
    /// Our token is refused; nothing ran.
    TokenRefused {
        /// The HTTP status.
        status: u16,
        /// What was answered, in a sentence.
        detail: String,
    },
    /// There is no such playbook, or not yet; nothing ran.
    NotRegistered {
        /// What was answered, in a sentence.
        detail: String,
    },
    /// It ran and failed.
    WorkflowFailed {
        /// The HTTP status.
        status: u16,
        /// What was answered, in a sentence.
        detail: String,
    },
    /// The request is refused for good; nothing ran.
    Rejected {
        /// The HTTP status.
        status: u16,
        /// What was answered and what to do, in a sentence.
        detail: String,
    },
    /// Too much at the moment; nothing ran.
    Busy {
        /// The HTTP status.
        status: u16,
        /// How long to wait, as the other side says.
        retry_after: Option<Duration>,
        /// What was answered, in a sentence.
        detail: String,
    },
    /// A failure that may pass; it may have run.
    Failed {
        /// The HTTP status.
        status: u16,
        /// How long to wait, as the other side says.
        retry_after: Option<Duration>,
        /// What was answered, in a sentence.
        detail: String,
    },
    /// No connection could be made; nothing ran.
    Unreachable {
        /// What happened, in a sentence.
        detail: String,
    },
    /// No answer in time, or the connection broke; it may have run.
    NoAnswer {
        /// What happened, in a sentence.
        detail: String,
    },
}

/// Whether the runner of playbooks can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reachability {
    /// It answers.
    Up,
    /// It does not, and why.
    Down(String),
}

/// Whether the runner of playbooks knows one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It would take a delivery.
    Present,
    /// It has no such playbook, and what to do about it, in a sentence.
    Missing(String),
    /// It does not say, and why not, in a sentence.
    Unknown(String),
}

/// How the runner of playbooks says that a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunStatus {
    /// It goes on, or waits.
    Running,
    /// It came to its end.
    Succeeded,
    /// It did not, and in which way.
    Failed(String),
    /// The runner does not say, and why not, in a sentence.
    Unknown(String),
}

/// Runs playbooks.
#[async_trait]
pub trait Playbooks: Send + Sync {
    /// Delivers an execution once.
    async fn deliver(&self, delivery: &Delivery) -> Answered;

    /// Asks whether the runner is there, without side effects.
    async fn probe(&self) -> Reachability;

    /// Asks whether the runner knows a playbook, without side effects. Whether it accepts our token only a delivery tells.
    async fn probe_playbook(&self, playbook: &PlaybookName) -> Presence;

    /// Whether [`Playbooks::run_status`] can be asked.
    fn tells_run_status(&self) -> bool;

    /// Asks how a run stands, by the runner's own id of it.
    async fn run_status(&self, run_id: &str) -> RunStatus;
}
