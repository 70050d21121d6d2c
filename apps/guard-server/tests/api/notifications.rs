//! What is sent of escalations.

use std::time::Duration;

use chrono::TimeDelta;
use guard_app::ports::DeliveryOutcome;
use serde_json::Value;

use super::harness::{RULES, TestApp};
use super::receiver::{Receiver, SECRET};

/// A server whose default contact has a webhook for each of the addresses.
async fn app(urls: &[&str], settings: &[(&str, &str)]) -> TestApp {
    let mut all: Vec<(String, String)> = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    for (place, url) in urls.iter().enumerate() {
        let mut set = |key: &str, value: &str| {
            let name = format!("contacts.default.channels.{place}.{key}");
            all.push((name, value.to_owned()));
        };
        set("type", "webhook");
        set("url", url);
        set("secret", SECRET);
    }
    let all: Vec<_> = all
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    TestApp::with(RULES, &all).await
}

impl TestApp {
    async fn page(&self, service: &str) -> String {
        let context = format!(r#"{{"service":"{service}"}}"#);
        let answer = self.event("health_check_failed", "high", &context).await;
        let answer = answer.is(200);
        assert_eq!(answer.text("decision"), "escalated");
        answer.text("event_id")
    }

    /// The escalations, newest first.
    async fn escalations(&self) -> Vec<Value> {
        let listed = self.get("/v1/escalations").await.is(200);
        listed.body["items"].as_array().unwrap().clone()
    }

    /// Waits until every notification of a channel is in one of these states; the clock moves on by a second each time.
    async fn settled(&self, place: usize, states: &[&str]) -> Vec<Value> {
        for _ in 0..300 {
            let escalations = self.escalations().await;
            let all: Vec<Value> = escalations
                .iter()
                .map(|escalation| escalation["notifications"][place].clone())
                .collect();
            let ended = |one: &Value| states.contains(&one["state"].as_str().unwrap());
            if all.iter().all(ended) {
                return all;
            }
            self.clock.advance(TimeDelta::seconds(1));
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        panic!("{:?}", self.escalations().await)
    }

    /// Waits until the newest notification waits again after so many attempts; the clock stands still.
    async fn tried(&self, attempts: u64) {
        for _ in 0..300 {
            let newest = self.escalations().await[0]["notifications"][0].clone();
            if newest["attempts"] == attempts && newest["state"] == "queued" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{:?}", self.escalations().await)
    }

    async fn counted(&self, outcome: &str) -> u64 {
        let text = self.get("/metrics").await.is(200).text;
        let line = format!(
            r#"neural_guard_notifications_total{{channel_type="webhook",outcome="{outcome}"}} "#
        );
        let found = text.lines().find_map(|found| found.strip_prefix(&line));
        found.map_or(0, |count| count.parse().unwrap())
    }
}

#[tokio::test]
async fn an_escalation_is_sent_signed_and_its_repeats_are_not() {
    let receiver = Receiver::start().await;
    let app = app(&[&receiver.url()], &[]).await;
    let event = app.page("db").await;
    let sent = app.settled(0, &["sent"]).await;
    assert_eq!(sent[0]["channel"], "webhook");
    assert_eq!(sent[0]["type"], "webhook");
    assert_eq!(sent[0]["attempts"], 1);
    assert_eq!(sent[0]["detail"], "the webhook answered 200");
    assert!(
        sent[0]["sent_at"]
            .as_str()
            .unwrap()
            .starts_with("2026-11-20T03:")
    );
    let messages = receiver.messages();
    let [(id, body)] = messages.as_slice() else {
        panic!("{messages:?}")
    };
    let escalation = &app.escalations().await[0];
    let first = escalation["id"].as_str().unwrap();
    assert_eq!(*id, format!("{first}_webhook"));
    assert_eq!(body["type"], "escalation.raised");
    assert_eq!(body["data"]["id"], first);
    assert_eq!(body["data"]["event_id"], event.as_str());
    assert_eq!(body["data"]["message"], "down: db");

    app.page("web").await;
    let all = app.settled(0, &["sent", "repeated"]).await;
    assert_eq!(all[0]["state"], "repeated");
    assert_eq!(all[0]["sent_at"], Value::Null);
    let detail = all[0]["detail"].as_str().unwrap();
    assert!(detail.contains(first), "{detail}");
    assert_eq!(receiver.count(), 1);
    app.clock.advance(TimeDelta::minutes(5));
    app.page("web").await;
    let all = app.settled(0, &["sent", "repeated"]).await;
    assert_eq!(all[0]["state"], "sent");
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn a_contact_without_channels_has_its_escalations_on_record() {
    let app = app(&[], &[]).await;
    app.page("db").await;
    let escalations = app.escalations().await;
    assert_eq!(escalations[0]["notifications"], serde_json::json!([]));
}

#[tokio::test]
async fn what_may_pass_is_sent_later_and_what_is_refused_is_dead_and_no_escalation() {
    let receiver = Receiver::start().await;
    let app = app(&[&receiver.url()], &[("escalation.repeat_after", "0")]).await;
    receiver.answer([503, 429]);
    app.page("db").await;
    let sent = app.settled(0, &["sent"]).await;
    assert_eq!(sent[0]["attempts"], 3);
    let ids: Vec<_> = receiver.messages().into_iter().map(|(id, _)| id).collect();
    assert!(
        ids.iter().all(|id| *id == ids[0]),
        "the same id each time: {ids:?}"
    );

    let dead = app.counted("dead").await;
    receiver.answer([404]);
    app.page("db").await;
    let all = app.settled(0, &["sent", "dead"]).await;
    assert_eq!(all[0]["state"], "dead");
    let detail = all[0]["detail"].as_str().unwrap();
    assert!(detail.contains("correct the channel's url"), "{detail}");
    // It is on record a moment before it is counted.
    let mut waits = 0..100;
    while app.counted("dead").await <= dead {
        waits.next().expect("a dead notification is counted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(app.counted("retry").await >= 2 && app.counted("sent").await >= 1);
    assert_eq!(app.escalations().await.len(), 2, "it does not escalate");
    let health = app.get("/health").await.is(200);
    assert_eq!(health.text("status"), "ok");
}

#[tokio::test]
async fn what_cannot_be_sent_in_time_is_dead() {
    let receiver = Receiver::start().await;
    let settings = [("escalation.deadline", "30s")];
    let app = app(&[&receiver.url()], &settings).await;
    receiver.answer(std::iter::repeat_n(503, 500));
    app.page("db").await;
    // The first retry is due within half a second of the clock, which stands still until the first attempt is on record.
    app.tried(1).await;
    app.clock.advance(TimeDelta::seconds(1));
    app.tried(2).await;
    let all = app.settled(0, &["dead"]).await;
    let detail = all[0]["detail"].as_str().unwrap();
    assert_eq!(
        detail,
        "its deadline has passed; the last attempt: the webhook answered 503"
    );
    let count = receiver.count();
    assert!(count > 1, "{count}");
}

#[tokio::test]
async fn a_channel_that_is_down_does_not_hold_up_the_others() {
    let (down, up) = (Receiver::start().await, Receiver::start().await);
    down.hold();
    let settings = [("escalation.repeat_after", "0")];
    let app = app(&[&down.url(), &up.url()], &settings).await;
    for service in 0..20 {
        app.page(&service.to_string()).await;
    }
    // Without moving the clock: the lease of what hangs must not end.
    for _ in 0..300 {
        if up.count() == 20 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(up.messages().len(), 20);
    assert_eq!(down.count(), 2, "no more than two at once");
}

#[tokio::test]
async fn what_cannot_be_delivered_calls_the_default_contact() {
    let receiver = Receiver::start().await;
    let app = app(&[&receiver.url()], &[]).await;
    app.playbooks.answer([DeliveryOutcome::Rejected {
        status: 422,
        detail: "say so".to_owned(),
    }]);
    let execution = app.trigger("a").await;
    app.wait_for_state(&execution, "dead").await;
    app.settled(0, &["sent"]).await;
    let messages = receiver.messages();
    let data = &messages[0].1["data"];
    assert_eq!(data["reason"], "dead");
    assert_eq!(data["execution_id"], execution.as_str());
    let message = data["message"].as_str().unwrap();
    assert!(message.contains("say so"), "{message}");
}
