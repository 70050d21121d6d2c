//! What carries escalations to people.

use std::time::Duration;

use async_trait::async_trait;
use guard_domain::{ChannelAddress, ChannelName, ChannelType, Escalation, TenantId};

/// An escalation that is to be sent over a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Whose escalation it is.
    pub tenant: TenantId,
    /// The escalation.
    pub escalation: Escalation,
    /// The channel, one of the escalation's contact.
    pub channel: ChannelName,
    /// The number of the attempt, from 1.
    pub attempt: u32,
}

impl Message {
    /// Its channel among those of all contacts.
    #[must_use]
    pub fn address(&self) -> ChannelAddress {
        ChannelAddress {
            contact: self.escalation.contact.clone(),
            channel: self.channel.clone(),
        }
    }

    /// Its id, the same for every attempt, by which a receiver recognises what it has already. It is safe in a header.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}_{}", self.escalation.id, self.channel)
    }

    /// What it is about, the same for escalations that repeat each other. At most 160 characters, safe in a header.
    #[must_use]
    pub fn topic(&self) -> String {
        let escalation = &self.escalation;
        let rule = escalation
            .rule_id
            .as_ref()
            .map_or("-", |rule| rule.as_str());
        format!("{}/{}/{rule}", self.tenant, escalation.reason)
    }
}

/// What sending came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The channel's service has taken it.
    Sent {
        /// What was answered, in a sentence.
        detail: String,
    },
    /// A failure that may pass.
    Retry {
        /// How long to wait, as the other side says.
        after: Option<Duration>,
        /// What happened, in a sentence.
        detail: String,
    },
    /// It is refused for good.
    Rejected {
        /// What was answered and what to do, in a sentence.
        detail: String,
    },
}

/// One channel of a contact.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// What kind of service it is.
    fn channel_type(&self) -> ChannelType;

    /// Sends a message once, within ten seconds.
    async fn send(&self, message: &Message) -> SendOutcome;
}
