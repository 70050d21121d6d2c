//! Reading, cancelling and redriving executions.

use chrono::TimeDelta;
use guard_app::ports::{DeliveryOutcome, Retention};

use super::harness::{ADMIN_KEY, API_KEY, TestApp};

#[tokio::test]
async fn executions_are_listed_by_state_playbook_and_rule() {
    let app = TestApp::start().await;
    let id = app.trigger("a").await;
    let listed = |query: &'static str| {
        let app = &app;
        async move {
            let page = app.get(&format!("/v1/executions?{query}")).await.is(200);
            page.body["items"].as_array().unwrap().len()
        }
    };
    assert_eq!(listed("").await, 1);
    assert_eq!(listed("status=acknowledged").await, 1);
    assert_eq!(listed("status=dead").await, 0);
    assert_eq!(listed("playbook=backup-recovery&rule_id=recover").await, 1);
    assert_eq!(listed("rule_id=page").await, 0);
    let one = app.get(&format!("/v1/executions/{id}")).await.is(200);
    assert_eq!(one.body["attempt_log"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_queued_execution_is_cancelled_and_a_delivered_one_is_not() {
    let app = TestApp::with(super::harness::RULES, &[("executor.ack_wait", "0")]).await;
    app.playbooks.answer([DeliveryOutcome::Busy {
        status: 429,
        retry_after: Some(std::time::Duration::from_secs(600)),
        detail: "later".to_owned(),
    }]);
    let id = app.trigger("a").await;
    app.playbooks.wait_for(1).await;
    for _ in 0..100 {
        if app.state(&id).await == "queued" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let path = format!("/v1/executions/{id}/cancel");
    app.post(&path, API_KEY, "")
        .await
        .problem(403, "forbidden", "executions:write");
    assert_eq!(
        app.post(&path, ADMIN_KEY, "").await.is(200).text("state"),
        "cancelled"
    );
    app.post(&path, ADMIN_KEY, "").await.problem(
        409,
        "conflict",
        "`cancelled` cannot be cancelled",
    );
    let delivered = app.trigger("b").await;
    app.wait_for_state(&delivered, "acknowledged").await;
    let path = format!("/v1/executions/{delivered}/cancel");
    app.post(&path, ADMIN_KEY, "")
        .await
        .problem(409, "conflict", "`acknowledged`");
    let unknown = "/v1/executions/019a0000-0000-7000-8000-000000000001/cancel";
    app.post(unknown, ADMIN_KEY, "")
        .await
        .problem(404, "not-found", "no such execution");
}

#[tokio::test]
async fn a_dead_execution_is_redriven_under_a_new_id() {
    let app = TestApp::start().await;
    app.playbooks.answer([DeliveryOutcome::Rejected {
        status: 422,
        detail: "no".to_owned(),
    }]);
    let id = app.trigger("a").await;
    let again = app
        .post(&format!("/v1/executions/{id}/redrive"), ADMIN_KEY, "")
        .await
        .is(200);
    let new = again.text("id");
    assert_ne!(new, id);
    let twice = app
        .post(&format!("/v1/executions/{id}/redrive"), ADMIN_KEY, "")
        .await;
    twice.problem(409, "conflict", &new);
    assert_eq!(again.text("redrive_of"), id);
    app.wait_for_state(&new, "acknowledged").await;
    assert_eq!(app.state(&id).await, "dead");
    let deliveries = app.playbooks.deliveries();
    assert_eq!(deliveries[1].execution_id.to_string(), new);
    assert_eq!(deliveries[0].params, deliveries[1].params);
    let early = app
        .post(&format!("/v1/executions/{new}/redrive"), ADMIN_KEY, "")
        .await;
    early.problem(409, "conflict", "`acknowledged` cannot be redriven");
}

#[tokio::test]
async fn what_is_older_than_retention_is_gone_and_not_redriven() {
    let app = TestApp::start().await;
    let refusal = || DeliveryOutcome::Rejected {
        status: 422,
        detail: "no".to_owned(),
    };
    app.playbooks.answer([refusal(), refusal()]);
    let old = app.trigger("a").await;
    app.wait_for_state(&old, "dead").await;
    let event = app.get(&format!("/v1/executions/{old}")).await.is(200);
    let event = event.text("event_id");
    app.clock.advance(TimeDelta::days(1));
    let redriven = app
        .post(&format!("/v1/executions/{old}/redrive"), ADMIN_KEY, "")
        .await
        .is(200)
        .text("id");
    app.wait_for_state(&redriven, "dead").await;
    app.clock.advance(TimeDelta::days(2));
    let kept = TimeDelta::days(2);
    let floor = app.guard.store.floor(kept).await.unwrap();
    while app.guard.store.drop_old(floor, 1000).await.unwrap().more {}

    app.get(&format!("/v1/events/{event}"))
        .await
        .problem(404, "not-found", "no such event");
    app.get(&format!("/v1/executions/{old}"))
        .await
        .problem(404, "not-found", "no such execution");
    let events = app
        .get("/v1/events?since=2026-11-01T00:00:00Z")
        .await
        .is(200);
    assert_eq!(events.body["items"], serde_json::json!([]));
    let found = app.get(&format!("/v1/executions/{redriven}")).await.is(200);
    assert_eq!(found.text("event_id"), event);
    let list = app.get("/v1/executions?since=2026-11-01T00:00:00Z").await;
    assert_eq!(list.is(200).body["items"].as_array().unwrap().len(), 1);
    app.post(&format!("/v1/executions/{redriven}/redrive"), ADMIN_KEY, "")
        .await
        .problem(409, "conflict", "older than `retention`");
}
