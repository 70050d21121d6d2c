//! Calls for a human.

use chrono::{DateTime, Utc};

use crate::{ContactName, EscalationId, EventId, ExecutionId, RuleId, Severity};

crate::words::words! {
    /// Why a human is called.
    pub enum EscalationReason as "escalation reason" {
        /// A rule's action says so.
        Rule => "rule",
        /// An execution could not be delivered.
        Dead => "dead",
        /// An execution reported no result in time.
        Unconfirmed => "unconfirmed",
        /// n8n refuses our token.
        TokenRefused => "token_refused",
        /// An event was too old to act on.
        Stale => "stale",
        /// A playbook's params could not be rendered from the event.
        RenderingFailed => "rendering_failed",
        /// Somebody tries the channels of a contact; never on record.
        Test => "test",
    }
}

/// A call for a human, on record whatever channels carry it further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// Its id.
    pub id: EscalationId,
    /// Why.
    pub reason: EscalationReason,
    /// Who is called.
    pub contact: ContactName,
    /// How urgent it is: the severity of the event behind it.
    pub severity: Severity,
    /// What to know, in a sentence.
    pub message: String,
    /// The event behind it.
    pub event_id: Option<EventId>,
    /// The execution behind it.
    pub execution_id: Option<ExecutionId>,
    /// The rule behind it.
    pub rule_id: Option<RuleId>,
    /// When it was raised.
    pub created_at: DateTime<Utc>,
}
