//! Cases of notifications.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;
use guard_app::ports::{
    AfterSending, AttemptReport, ClaimedNotification, Clock, EscalationFilter, EscalationRecord,
    NextStep, NotificationRequest, NotificationRound, random_tail,
};
use guard_domain::{
    Channel, ChannelAddress, ChannelName, ChannelType, ContactName, Escalation, EscalationId,
    EscalationReason, NotificationState, Severity, TenantId,
};

use super::{Storage, World, default_tenant, failed, page, recorded};
use crate::{event_body, tenant};

const LEASE: Duration = Duration::from_secs(20);
const REPEAT_AFTER: TimeDelta = TimeDelta::minutes(5);

/// Rules that call a contact with channels, and one that calls a contact without.
const RULES: &str = "
rules:
  - { id: down, event_type: health_check_failed, action: { escalate: { to: oncall, message: 'down' } } }
  - { id: odd, event_type: anomaly_detected, action: { escalate: { to: oncall, message: 'odd' } } }
  - { id: quiet, event_type: user_offboarding, action: { escalate: { to: default, message: 'left' } } }
  - { id: recover, event_type: backup_failed, action: { trigger_playbook: { name: recover } } }
";

/// The channels that a store under test has: `oncall` has `chat`, for what is severe, and `pager`, for everything.
#[must_use]
pub fn channels() -> BTreeMap<ContactName, Vec<Channel>> {
    let channel = |name, channel_type, min_severity| Channel {
        name: ChannelName::parse(name).expect("a slug"),
        channel_type,
        min_severity,
    };
    let oncall = vec![
        channel("pager", ChannelType::PagerDuty, Severity::Low),
        channel("chat", ChannelType::Slack, Severity::High),
    ];
    BTreeMap::from([(contact("oncall"), oncall)])
}

fn contact(name: &str) -> ContactName {
    ContactName::parse(name).expect("a slug")
}

fn address(channel: &str) -> ChannelAddress {
    ChannelAddress {
        contact: contact("oncall"),
        channel: ChannelName::parse(channel).expect("a slug"),
    }
}

fn ready(channels: &[&str]) -> BTreeSet<ChannelAddress> {
    channels.iter().map(|channel| address(channel)).collect()
}

impl<S: Storage + 'static> World<S> {
    async fn with_contacts(self) -> Self {
        self.publish(RULES).await;
        self
    }

    async fn look(&self, channels: &[&str], repeat_after: TimeDelta) -> NotificationRound {
        let request = NotificationRequest {
            instance: "test".to_owned(),
            ready: ready(channels),
            lease: LEASE,
            repeat_after,
        };
        self.store.claim_notification(&request, 10).await.unwrap()
    }

    /// Claims what is due over `pager`, with repeats sent as well.
    async fn claim_message(&self) -> Option<ClaimedNotification> {
        self.look(&["pager"], TimeDelta::zero()).await.claimed
    }

    async fn settle_message(&self, claimed: &ClaimedNotification, next: AfterSending) -> bool {
        let settled = self.store.settle_notification(claimed, "as seen", next);
        settled.await.unwrap()
    }

    async fn escalated(&self, tenant: &TenantId) -> Vec<EscalationRecord> {
        let filter = EscalationFilter::default();
        let listed = self.store.escalations(tenant, &filter, page(50));
        listed.await.unwrap()
    }

    /// The states over `pager`, of the newest escalation first.
    async fn pager_states(&self) -> Vec<NotificationState> {
        let records = self.escalated(&default_tenant()).await;
        let all = records.into_iter().flat_map(|record| record.notifications);
        all.filter(|notification| notification.channel.as_str() == "pager")
            .map(|notification| notification.state)
            .collect()
    }
}

pub async fn an_escalation_has_a_notification_for_each_channel<S: Storage + 'static>(
    world: World<S>,
) {
    let world = world.with_contacts().await;
    let tick = || world.clock.advance(TimeDelta::milliseconds(1));
    world.record("health_check_failed", "high", "{}").await;
    tick();
    world.record("health_check_failed", "medium", "{}").await;
    tick();
    world.record("user_offboarding", "critical", "{}").await;
    let records = world.escalated(&default_tenant()).await;
    let [nobody, one, both] = records.as_slice() else {
        panic!("{records:?}")
    };
    assert_eq!(nobody.notifications, [], "a contact without channels");
    let names = |record: &EscalationRecord| -> Vec<_> {
        let all = record.notifications.iter();
        all.map(|notification| notification.channel.to_string())
            .collect()
    };
    assert_eq!(names(one), ["pager"], "not severe enough for the other");
    assert_eq!(names(both), ["chat", "pager"]);
    let first = &both.notifications[0];
    assert_eq!(first.channel_type, ChannelType::Slack);
    assert_eq!(
        (first.state, first.attempts),
        (NotificationState::Queued, 0)
    );
    assert_eq!((&first.detail, first.sent_at), (&None, None));
    assert_eq!(world.escalated(&tenant("other")).await, []);
}

pub async fn what_an_attempt_escalates_is_notified_once<S: Storage + 'static>(world: World<S>) {
    let world = world.with_contacts().await;
    world.record("backup_failed", "high", "{}").await;
    for _ in 0..2 {
        let claimed = world.claim_one().await;
        let (execution, now) = (&claimed.execution, world.clock.now());
        let escalation = Escalation {
            id: EscalationId::new(now, random_tail(world.random.as_ref())),
            reason: EscalationReason::TokenRefused,
            contact: contact("oncall"),
            severity: execution.severity,
            message: "refused".to_owned(),
            event_id: Some(execution.event_id),
            execution_id: Some(execution.id),
            rule_id: Some(execution.rule_id.clone()),
            created_at: now,
        };
        let report = AttemptReport {
            escalation: Some(escalation),
            ..failed(false, NextStep::Retry { at: now })
        };
        world.store.settle(&claimed, &report).await.unwrap();
    }
    let records = world.escalated(&default_tenant()).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].notifications.len(), 2);
    assert_eq!(
        world
            .store
            .waiting_notifications(&ready(&[]))
            .await
            .unwrap()
            .open,
        2
    );
}

pub async fn the_most_severe_notification_is_claimed_first<S: Storage + 'static>(world: World<S>) {
    let world = world.with_contacts().await;
    let mut expected = Vec::new();
    for severity in ["medium", "critical", "high", "critical"] {
        let receipt = world.record("health_check_failed", severity, "{}").await;
        expected.push(receipt.event_id);
        world.clock.advance(TimeDelta::milliseconds(1));
    }
    let other = tenant("other");
    let body = event_body("backup_failed", "low", "{}");
    crate::publish_rules(
        world.store.as_ref(),
        &other,
        "rules: [{ id: theirs, event_type: '*', action: { escalate: { to: oncall, message: x } } }]",
        guard_app::ports::PublishMode::Differs,
    )
    .await;
    let theirs = world.intake_of(&other, &body, None).await;
    let theirs = recorded(&world.commit(&[theirs]).await[0]);
    let order = [
        expected[1],
        expected[3],
        expected[2],
        expected[0],
        theirs.event_id,
    ];
    for (place, event) in order.into_iter().enumerate() {
        let claimed = world.claim_message().await.expect("one is due");
        let message = &claimed.message;
        assert_eq!(message.escalation.event_id, Some(event), "{place}");
        assert_eq!((message.attempt, claimed.epoch), (1, 1));
        assert_eq!(message.channel.as_str(), "pager");
        assert_eq!(message.tenant == other, place == 4);
    }
    assert_eq!(world.claim_message().await, None, "the lease holds");
    let chat = world.look(&["chat"], TimeDelta::zero()).await;
    let chat = chat.claimed.expect("over the channel that is ready");
    assert_eq!(chat.message.escalation.event_id, Some(expected[1]));
    let states = world.pager_states().await;
    assert_eq!(states, [NotificationState::Sending; 4]);
}

pub async fn the_lease_of_a_notification_ends_and_fences<S: Storage + 'static>(world: World<S>) {
    let world = world.with_contacts().await;
    world.record("health_check_failed", "medium", "{}").await;
    let old = world.claim_message().await.expect("one is due");
    let lease = TimeDelta::from_std(LEASE).unwrap();
    let waiting = world.store.waiting_notifications(&ready(&["pager"])).await;
    let waiting = waiting.unwrap();
    assert_eq!(
        (waiting.open, waiting.next_due),
        (1, Some(world.clock.now() + lease))
    );
    world.clock.advance(lease - TimeDelta::microseconds(1));
    assert_eq!(world.claim_message().await, None, "the lease holds");
    world.clock.advance(TimeDelta::microseconds(1));
    let new = world.claim_message().await.expect("it is taken over");
    assert_eq!((new.epoch, new.message.attempt), (2, 2));
    assert_eq!(new.message.escalation, old.message.escalation);
    for next in [AfterSending::GiveUp, AfterSending::Sent] {
        assert!(!world.settle_message(&old, next).await);
    }
    let states = world.pager_states().await;
    assert_eq!(
        states,
        [NotificationState::Sending],
        "an old claim has no say"
    );
    assert!(world.settle_message(&new, AfterSending::Sent).await);
    assert!(!world.settle_message(&new, AfterSending::GiveUp).await);
    assert_eq!(world.pager_states().await, [NotificationState::Sent]);
}

pub async fn a_notification_is_tried_again_and_sent_or_dead<S: Storage + 'static>(world: World<S>) {
    let world = world.with_contacts().await;
    world.record("health_check_failed", "medium", "{}").await;
    let claimed = world.claim_message().await.unwrap();
    let at = world.clock.now() + TimeDelta::seconds(7);
    assert!(
        world
            .settle_message(&claimed, AfterSending::Retry { at })
            .await
    );
    assert_eq!(world.pager_states().await, [NotificationState::Queued]);
    let waiting = async |channels: &[&str]| {
        let waiting = world.store.waiting_notifications(&ready(channels)).await;
        waiting.unwrap().next_due
    };
    assert_eq!(waiting(&["pager"]).await, Some(at));
    let deadline = claimed.message.escalation.created_at + TimeDelta::hours(24);
    assert_eq!(waiting(&["chat"]).await, Some(deadline), "it is not ready");
    assert_eq!(world.claim_message().await, None, "it waits");
    world.clock.advance(TimeDelta::seconds(7));
    let claimed = world.claim_message().await.unwrap();
    world.settle_message(&claimed, AfterSending::Sent).await;
    let record = world.escalated(&default_tenant()).await.remove(0);
    let sent = &record.notifications[0];
    assert_eq!((sent.state, sent.attempts), (NotificationState::Sent, 2));
    assert_eq!(sent.sent_at, Some(world.clock.now()));
    assert_eq!(sent.detail.as_deref(), Some("as seen"));

    world.record("anomaly_detected", "medium", "{}").await;
    let claimed = world.claim_message().await.unwrap();
    world.settle_message(&claimed, AfterSending::GiveUp).await;
    let states = world.pager_states().await;
    assert_eq!(states, [NotificationState::Dead, NotificationState::Sent]);
    assert_eq!(waiting(&["pager"]).await, None);
    let escalations = world.escalated(&default_tenant()).await;
    assert_eq!(escalations.len(), 2, "what is dead does not escalate");
}

pub async fn a_notification_past_its_deadline_is_dead<S: Storage + 'static>(world: World<S>) {
    let world = world.with_contacts().await;
    world.record("health_check_failed", "medium", "{}").await;
    let claimed = world.claim_message().await.unwrap();
    let deadline = claimed.message.escalation.created_at + TimeDelta::hours(24);
    let at = deadline + TimeDelta::hours(1);
    world
        .settle_message(&claimed, AfterSending::Retry { at })
        .await;
    let waiting = world.store.waiting_notifications(&ready(&["pager"])).await;
    assert_eq!(
        waiting.unwrap().next_due,
        Some(deadline),
        "it is not waited for longer"
    );
    world.record("anomaly_detected", "high", "{}").await;
    let left = deadline - world.clock.now();
    world.clock.advance(left - TimeDelta::microseconds(1));
    assert_eq!(world.look(&[], REPEAT_AFTER).await, Default::default());
    world.clock.advance(TimeDelta::microseconds(1));
    let round = world.look(&["pager", "chat"], REPEAT_AFTER).await;
    assert_eq!(round.claimed, None);
    let mut details: Vec<_> = round
        .ended
        .iter()
        .map(|unsent| {
            assert_eq!(unsent.notification.state, NotificationState::Dead);
            unsent.notification.detail.clone().unwrap()
        })
        .collect();
    details.sort();
    assert_eq!(
        details,
        [
            "its deadline has passed, and no instance has sent over this channel",
            "its deadline has passed, and no instance has sent over this channel",
            "its deadline has passed; the last attempt: as seen",
        ]
    );
    assert_eq!(world.pager_states().await, [NotificationState::Dead; 2]);
    assert_eq!(
        world.look(&["pager"], REPEAT_AFTER).await,
        Default::default()
    );
}

pub async fn what_repeats_a_notification_is_not_sent<S: Storage + 'static>(world: World<S>) {
    let world = world.with_contacts().await;
    let look = || world.look(&["pager"], REPEAT_AFTER);
    world.record("health_check_failed", "medium", "{}").await;
    let first = look().await.claimed.unwrap();
    world.settle_message(&first, AfterSending::Sent).await;

    world.clock.advance(TimeDelta::minutes(4));
    world.record("health_check_failed", "medium", "{}").await;
    let round = look().await;
    assert_eq!(round.claimed, None);
    let [repeat] = round.ended.as_slice() else {
        panic!("{round:?}")
    };
    assert_eq!(repeat.notification.state, NotificationState::Repeated);
    assert_eq!(repeat.notification.attempts, 0);
    let detail = repeat.notification.detail.as_deref().unwrap();
    assert!(
        detail.contains(&first.message.escalation.id.to_string()),
        "{detail}"
    );
    assert_eq!(repeat.address, address("pager"));

    // Another rule, or something worse, is something else.
    world.record("anomaly_detected", "medium", "{}").await;
    let other = look().await.claimed.expect("of another rule");
    world.settle_message(&other, AfterSending::Sent).await;
    world.record("health_check_failed", "critical", "{}").await;
    let worse = look().await.claimed.expect("more severe");
    world.settle_message(&worse, AfterSending::Sent).await;
    let chat = world.look(&["chat"], REPEAT_AFTER).await;
    assert!(chat.claimed.is_some(), "each channel counts for itself");

    world.clock.advance(REPEAT_AFTER);
    world.record("health_check_failed", "medium", "{}").await;
    let later = look().await.claimed.expect("after a while");
    world.settle_message(&later, AfterSending::Sent).await;
    world.record("health_check_failed", "medium", "{}").await;
    assert!(world.claim_message().await.is_some(), "with the time at 0");
}

pub async fn a_repeat_waits_for_what_is_being_sent<S: Storage + 'static>(world: World<S>) {
    let world = world.with_contacts().await;
    let look = || world.look(&["pager"], REPEAT_AFTER);
    for _ in 0..2 {
        world.record("health_check_failed", "medium", "{}").await;
        world.clock.advance(TimeDelta::milliseconds(1));
    }
    let first = look().await.claimed.unwrap();
    assert_eq!(look().await, Default::default(), "the second waits");
    world.record("anomaly_detected", "medium", "{}").await;
    let other = look().await.claimed.expect("what is about another rule");
    assert_eq!(other.message.escalation.rule_id.unwrap().as_str(), "odd");
    // What is dead has not reached anybody, so that the second is no repeat of it.
    world.settle_message(&first, AfterSending::GiveUp).await;
    let second = look().await.claimed.expect("the second is sent");
    assert_ne!(second.message.escalation.id, first.message.escalation.id);
    world.settle_message(&second, AfterSending::Sent).await;
    world.record("health_check_failed", "medium", "{}").await;
    let third = look().await;
    assert_eq!((third.claimed, third.ended.len()), (None, 1));
}

pub async fn notifications_go_with_their_escalation<S: Storage + 'static>(world: World<S>) {
    let world = world.with_contacts().await;
    for _ in 0..2 {
        world.record("health_check_failed", "high", "{}").await;
        world.clock.advance(TimeDelta::milliseconds(1));
    }
    let claimed = world.claim_message().await.unwrap();
    world.settle_message(&claimed, AfterSending::Sent).await;
    world.clock.advance(TimeDelta::days(3));
    let dropped = world.drop_old().await;
    assert_eq!(dropped.counts.get("notifications"), Some(&4));
    assert_eq!(dropped.counts.get("escalations"), Some(&2));
    assert_eq!(world.escalated(&default_tenant()).await, []);
    assert_eq!(
        world.look(&["pager", "chat"], REPEAT_AFTER).await,
        Default::default()
    );
}
