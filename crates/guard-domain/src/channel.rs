//! How a contact is reached.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::{ChannelName, ContactName, Severity};

crate::words::words! {
    /// What kind of service a channel is.
    pub enum ChannelType as "channel type" {
        /// A signed HTTP request.
        Webhook => "webhook",
        /// An incoming webhook of Slack, or of what is compatible with it.
        Slack => "slack",
        /// PagerDuty's Events API v2.
        PagerDuty => "pagerduty",
        /// Mail.
        Smtp => "smtp",
    }
}

crate::words::words! {
    /// Where a notification stands.
    pub enum NotificationState as "notification state" {
        /// To be sent, now or at its next attempt.
        Queued => "queued",
        /// Claimed by an instance that is sending it.
        Sending => "sending",
        /// The channel's service has taken it.
        Sent => "sent",
        /// Not sent, because it repeats one that was sent shortly before.
        Repeated => "repeated",
        /// It could not be sent.
        Dead => "dead",
    }
}

/// A channel of a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its name, unique within the contact.
    pub name: ChannelName,
    /// What kind of service it is.
    pub channel_type: ChannelType,
    /// What is less severe is not sent over it.
    pub min_severity: Severity,
}

/// A channel among those of all contacts. It is written `contact/channel`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelAddress {
    /// The contact.
    pub contact: ContactName,
    /// The channel.
    pub channel: ChannelName,
}

impl fmt::Display for ChannelAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.contact, self.channel)
    }
}

/// An escalation on its way over one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The channel.
    pub channel: ChannelName,
    /// What kind of service it is.
    pub channel_type: ChannelType,
    /// Where it stands.
    pub state: NotificationState,
    /// How often it was tried to send it.
    pub attempts: u32,
    /// What was seen last, in a sentence.
    pub detail: Option<String>,
    /// When the channel's service took it.
    pub sent_at: Option<DateTime<Utc>>,
}
