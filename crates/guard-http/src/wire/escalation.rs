//! Escalations, and what is sent of them.

use guard_app::ports::EscalationRecord;
use guard_domain::{Notification, timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// A call for a human.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EscalationBody {
    /// Its id.
    id: String,
    /// Why.
    #[schema(example = "unconfirmed")]
    reason: &'static str,
    /// Who is called.
    contact: String,
    /// How urgent it is.
    severity: &'static str,
    /// What to know.
    message: String,
    /// The event behind it.
    event_id: Option<String>,
    /// The execution behind it.
    execution_id: Option<String>,
    /// The rule behind it.
    rule_id: Option<String>,
    /// When it was raised.
    created_at: String,
    /// One for each channel of the contact that it goes over.
    notifications: Vec<NotificationBody>,
}

/// An escalation on its way over one channel.
#[derive(Debug, Serialize, ToSchema)]
struct NotificationBody {
    /// The channel.
    channel: String,
    /// What kind of service it is.
    #[schema(example = "slack")]
    r#type: &'static str,
    /// Where it stands: `queued`, `sending`, `sent`, `repeated` or `dead`.
    #[schema(example = "sent")]
    state: &'static str,
    /// How often it was tried to send it.
    attempts: u32,
    /// What was seen last.
    detail: Option<String>,
    /// When the channel's service took it.
    sent_at: Option<String>,
}

impl From<EscalationRecord> for EscalationBody {
    fn from(record: EscalationRecord) -> Self {
        let escalation = record.escalation;
        Self {
            id: escalation.id.to_string(),
            reason: escalation.reason.as_str(),
            contact: escalation.contact.to_string(),
            severity: escalation.severity.as_str(),
            message: escalation.message,
            event_id: escalation.event_id.map(|id| id.to_string()),
            execution_id: escalation.execution_id.map(|id| id.to_string()),
            rule_id: escalation.rule_id.map(|id| id.to_string()),
            created_at: timestamp::format(escalation.created_at),
            notifications: record.notifications.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Notification> for NotificationBody {
    fn from(notification: Notification) -> Self {
        Self {
            channel: notification.channel.to_string(),
            r#type: notification.channel_type.as_str(),
            state: notification.state.as_str(),
            attempts: notification.attempts,
            detail: notification.detail,
            sent_at: notification.sent_at.map(timestamp::format),
        }
    }
}
