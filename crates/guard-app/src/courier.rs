//! Carrying escalations to people.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use guard_domain::{ChannelAddress, NotificationState};
use tokio_util::sync::CancellationToken;

use crate::in_flight::InFlight;
use crate::metric;
use crate::ports::{
    AfterSending, ClaimedNotification, Clock, NotificationRequest, Notifications, Notifier, Random,
    SendOutcome, StorageError, UnsentNotification,
};
use crate::retry;

/// Messages under way over one channel at once, at most. There is no bound for all, so that channels that are down cannot
/// hold up the others.
const PER_CHANNEL: usize = 2;
/// How long a claim holds: sending takes ten seconds at most.
const LEASE: Duration = Duration::from_secs(20);
/// Notifications that end at once without being sent, at most.
const END_LIMIT: u32 = 100;
/// How often and how long apart it is tried to record an attempt.
const SETTLE_TRIES: u32 = 10;
const SETTLE_PAUSE: Duration = Duration::from_millis(500);

/// The channels of every contact.
pub type Channels = BTreeMap<ChannelAddress, Arc<dyn Notifier>>;

/// How notifications are sent.
#[derive(Debug, Clone)]
pub struct CourierSettings {
    /// The name of this instance.
    pub instance: String,
    /// How long after one was sent what repeats it is not sent; zero: everything is sent.
    pub repeat_after: TimeDelta,
    /// How often to look for what is to be sent.
    pub poll: Duration,
    /// How long messages under way may take when the server stops.
    pub drain: Duration,
}

/// Sends the notifications of escalations, each over its channel.
pub struct Courier {
    /// Where notifications wait.
    pub notifications: Arc<dyn Notifications>,
    /// The channels.
    pub channels: Channels,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for jitter.
    pub random: Arc<dyn Random>,
    /// How notifications are sent.
    pub settings: CourierSettings,
}

impl Courier {
    /// Sends until `stop` is cancelled, then lets what is under way end.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut in_flight = InFlight::default();
        while !stop.is_cancelled() {
            if let Err(error) = self.round(&mut in_flight).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the notifications cannot be read"
                );
            }
            tokio::select! {
                () = stop.cancelled() => {}
                _ = in_flight.next_end() => {}
                () = tokio::time::sleep(self.settings.poll) => {}
            }
        }
        let drained = tokio::time::timeout(self.settings.drain, in_flight.drain());
        if drained.await.is_err() {
            tracing::warn!("notifications are still being sent; another start takes them over");
        }
    }

    /// Begins to send while there is room and work.
    async fn round(
        self: &Arc<Self>,
        in_flight: &mut InFlight<ChannelAddress>,
    ) -> Result<(), StorageError> {
        loop {
            let ready = self.ready(in_flight);
            let waiting = self.notifications.waiting_notifications(&ready).await?;
            metric::level(
                metric::NOTIFICATIONS_OPEN,
                usize::try_from(waiting.open).unwrap_or(usize::MAX),
            );
            let now = self.clock.now();
            if waiting.next_due.is_none_or(|due| due > now) {
                return Ok(());
            }
            let request = NotificationRequest {
                instance: self.settings.instance.clone(),
                ready,
                lease: LEASE,
                repeat_after: self.settings.repeat_after,
            };
            let round = self
                .notifications
                .claim_notification(&request, END_LIMIT)
                .await?;
            round.ended.iter().for_each(tell);
            match round.claimed {
                Some(claimed) => {
                    let address = claimed.message.address();
                    in_flight.begin(address, self.clone().send(claimed));
                }
                // What is due waits for the outcome of another one.
                None if round.ended.is_empty() => return Ok(()),
                None => {}
            }
        }
    }

    fn ready(&self, in_flight: &InFlight<ChannelAddress>) -> BTreeSet<ChannelAddress> {
        let crowded = in_flight.crowded(PER_CHANNEL);
        let all = self.channels.keys();
        all.filter(|address| !crowded.contains(address))
            .cloned()
            .collect()
    }

    async fn send(self: Arc<Self>, claimed: ClaimedNotification) {
        let message = &claimed.message;
        let address = message.address();
        let Some(notifier) = self.channels.get(&address) else {
            return;
        };
        let (next, detail) = match notifier.send(message).await {
            SendOutcome::Sent { detail } => (AfterSending::Sent, detail),
            SendOutcome::Retry { after, detail } => {
                let delay = retry::delay(message.attempt, after, self.random.as_ref());
                let at = self.clock.now() + delay;
                (AfterSending::Retry { at }, detail)
            }
            SendOutcome::Rejected { detail } => (AfterSending::GiveUp, detail),
        };
        if !self.settle(&claimed, &detail, next).await {
            return;
        }
        let (tenant, id) = (&message.tenant, message.escalation.id);
        let outcome = match next {
            AfterSending::Sent => {
                tracing::info!(%tenant, escalation_id = %id, channel = %address, "notification: {detail}");
                "sent"
            }
            AfterSending::Retry { .. } => {
                tracing::warn!(%tenant, escalation_id = %id, channel = %address, "notification: {detail}");
                "retry"
            }
            AfterSending::GiveUp => {
                tracing::error!(%tenant, escalation_id = %id, channel = %address, "dead notification: {detail}");
                "dead"
            }
        };
        metric::count_notification(notifier.channel_type(), outcome);
    }

    /// Records the attempt; whether it had an effect. If the database is away, the lease decides: it is sent again, under
    /// the same id.
    async fn settle(
        &self,
        claimed: &ClaimedNotification,
        detail: &str,
        next: AfterSending,
    ) -> bool {
        for _ in 0..SETTLE_TRIES {
            let settled = self
                .notifications
                .settle_notification(claimed, detail, next)
                .await;
            match settled {
                Ok(settled) => return settled,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        escalation_id = %claimed.message.escalation.id,
                        "what came of a notification cannot be recorded"
                    );
                    tokio::time::sleep(SETTLE_PAUSE).await;
                }
            }
        }
        false
    }
}

/// A dead notification is a log line and a metric, and nothing more: to escalate it would go the same way.
fn tell(unsent: &UnsentNotification) {
    let UnsentNotification {
        tenant,
        escalation_id,
        address,
        notification,
    } = unsent;
    let detail = notification.detail.as_deref().unwrap_or_default();
    if notification.state == NotificationState::Dead {
        tracing::error!(%tenant, %escalation_id, channel = %address, "dead notification: {detail}");
    } else {
        tracing::info!(%tenant, %escalation_id, channel = %address, "notification: {detail}");
    }
    metric::count_notification(notification.channel_type, notification.state.as_str());
}
