//! Escalations that wait to be sent over the channels of their contacts.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use guard_domain::{ChannelAddress, EscalationId, Notification, TenantId};

use super::{Message, StorageError};

/// What an instance is ready to send.
#[derive(Debug, Clone)]
pub struct NotificationRequest {
    /// The instance.
    pub instance: String,
    /// The channels that it can send over now.
    pub ready: BTreeSet<ChannelAddress>,
    /// How long the claim holds; after that another instance may take over.
    pub lease: Duration,
    /// How long after one was sent what repeats it is not sent; zero: everything is sent.
    pub repeat_after: TimeDelta,
}

/// A notification that this instance is to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedNotification {
    /// What to send; `attempt` counts this one.
    pub message: Message,
    /// The fencing epoch of this claim: what an older claim reports has no effect.
    pub epoch: u64,
}

/// A notification that ended without being sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsentNotification {
    /// Its tenant.
    pub tenant: TenantId,
    /// Its escalation.
    pub escalation_id: EscalationId,
    /// Its channel.
    pub address: ChannelAddress,
    /// Where it stands: `repeated` or `dead`.
    pub notification: Notification,
}

/// What a look at the waiting notifications came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotificationRound {
    /// The one to send.
    pub claimed: Option<ClaimedNotification>,
    /// Those that ended: they repeat another one, or their time has run out.
    pub ended: Vec<UnsentNotification>,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterSending {
    /// It was sent.
    Sent,
    /// Try again.
    Retry {
        /// When.
        at: DateTime<Utc>,
    },
    /// Give up.
    GiveUp,
}

/// What waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WaitingNotifications {
    /// How many are queued or being sent, of every instance.
    pub open: u64,
    /// When the next one is due for this instance or runs out of time.
    pub next_due: Option<DateTime<Utc>>,
}

/// The notifications. Storage makes them together with their escalation, one for each channel of its contact.
#[async_trait]
pub trait Notifications: Send + Sync {
    /// Claims the notification that is due: the most severe first, of equal ones the oldest. What another instance claimed
    /// is taken over when its lease has ended.
    ///
    /// Two are about the same if contact, channel, reason and rule are. What is due and about the same as one that was sent
    /// shortly before, and was as severe, ends as `repeated`; while one is being sent, another one waits for the outcome.
    /// What is past its deadline ends as `dead`. At most `limit` end at once in each of these ways.
    async fn claim_notification(
        &self,
        request: &NotificationRequest,
        limit: u32,
    ) -> Result<NotificationRound, StorageError>;

    /// Records an attempt, what was seen, and what follows. `false`: the claim is not the newest, and nothing was changed.
    async fn settle_notification(
        &self,
        claimed: &ClaimedNotification,
        detail: &str,
        next: AfterSending,
    ) -> Result<bool, StorageError>;

    /// What waits to be sent over channels that are ready.
    async fn waiting_notifications(
        &self,
        ready: &BTreeSet<ChannelAddress>,
    ) -> Result<WaitingNotifications, StorageError>;
}
