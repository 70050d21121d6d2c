//! Several instances send as one.

use std::collections::HashSet;
use std::time::Duration;

use chrono::TimeDelta;
use guard_app::ports::{AfterSending, NotificationRequest, Notifications};
use guard_domain::ChannelAddress;
use guard_store::Store;
use guard_testkit::TestDatabase;
use guard_testkit::contract::{World, channels};

use super::instances;

fn request(repeat_after: TimeDelta) -> NotificationRequest {
    let every = channels().into_iter().flat_map(|(contact, channels)| {
        channels.into_iter().map(move |channel| ChannelAddress {
            contact: contact.clone(),
            channel: channel.name,
        })
    });
    NotificationRequest {
        instance: "test".to_owned(),
        ready: every.collect(),
        lease: Duration::from_secs(20),
        repeat_after,
    }
}

/// Every instance claims and sends until nothing is left; gives the ids of what was sent.
async fn send_all(worlds: [World<Store>; 3], repeat_after: TimeDelta) -> Vec<String> {
    let mut tasks = tokio::task::JoinSet::new();
    for world in worlds {
        let request = request(repeat_after);
        tasks.spawn(async move {
            let (store, mut sent) = (world.store, Vec::new());
            loop {
                let round = store.claim_notification(&request, 10).await.unwrap();
                let Some(claimed) = round.claimed else {
                    let waiting = store.waiting_notifications(&request.ready).await.unwrap();
                    if waiting.open == 0 {
                        return sent;
                    }
                    continue;
                };
                let settled = store.settle_notification(&claimed, "sent", AfterSending::Sent);
                assert!(settled.await.unwrap());
                sent.push(claimed.message.id());
            }
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_is_sent_by_one_instance_and_its_repeats_by_none() {
    let rules =
        "rules: [{ id: page, event_type: '*', action: { escalate: { to: oncall, message: x } } }]";
    for (repeat_after, expected) in [(TimeDelta::zero(), 30), (TimeDelta::minutes(5), 2)] {
        let database = TestDatabase::create().await;
        let worlds = instances::<3>(&database).await;
        worlds[0].publish(rules).await;
        for _ in 0..15 {
            worlds[0].record("user_offboarding", "high", "{}").await;
        }
        let sent = send_all(worlds, repeat_after).await;
        let unique: HashSet<_> = sent.iter().collect();
        assert_eq!((sent.len(), unique.len()), (expected, expected), "{sent:?}");
    }
}
