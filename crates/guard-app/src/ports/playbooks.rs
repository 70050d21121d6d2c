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
    /// Where the workflow reports: `/start` and `/result` are appended.
    pub callback_url: String,
    /// What it reports with.
    pub callback_token: SecretString,
    /// After this moment it must not begin.
    pub deadline: DateTime<Utc>,
    /// The W3C trace context to pass on.
    pub traceparent: Option<String>,
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

/// Runs playbooks.
#[async_trait]
pub trait Playbooks: Send + Sync {
    /// Delivers an execution once.
    async fn deliver(&self, delivery: &Delivery) -> DeliveryOutcome;

    /// Asks whether the runner is there, without side effects.
    async fn probe(&self) -> Reachability;
}
