//! What n8n's side gets, and what its answers lead to.

use std::time::Duration;

use chrono::TimeDelta;
use guard_app::ports::DeliveryOutcome;
use secrecy::ExposeSecret;

use super::harness::{API_KEY, TestApp};

fn detail() -> String {
    "as scripted".to_owned()
}

#[tokio::test]
async fn a_delivery_carries_params_event_and_callback() {
    let app = TestApp::start().await;
    let traced = [
        ("content-type", "application/json"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
    ];
    let body = guard_testkit::event_body("backup_failed", "high", r#"{"file":"a","n":1.500}"#);
    let answer = app
        .request(http::Method::POST, "/events", API_KEY, &traced, body)
        .await
        .is(200);
    let deliveries = app.playbooks.wait_for(1).await;
    let delivery = &deliveries[0];
    assert_eq!(delivery.params, r#"{"file":"a","n":1.500}"#);
    assert_eq!(
        delivery.execution_id.to_string(),
        answer.text("execution_id")
    );
    assert_eq!(delivery.attempt, 1);
    assert_eq!(delivery.playbook.as_str(), "backup-recovery");
    assert!(
        delivery.event.contains(&answer.text("event_id")),
        "{}",
        delivery.event
    );
    assert_eq!(
        delivery.callback_url,
        format!(
            "http://127.0.0.1:3000/v1/executions/{}",
            answer.text("execution_id")
        )
    );
    assert!(delivery.callback_token.expose_secret().starts_with("ngc_"));
    assert_eq!(delivery.traceparent.as_deref(), Some(traced[1].1));
    app.trigger("untraced").await;
    let begun = app.playbooks.wait_for(2).await[1]
        .traceparent
        .clone()
        .unwrap();
    assert!(begun.starts_with("00-") && begun.len() == 55, "{begun}");
}

#[tokio::test]
async fn what_may_pass_is_tried_again_under_the_same_id() {
    let app = TestApp::with(super::harness::RULES, &[("executor.ack_wait", "0")]).await;
    let (status, retry_after) = (503, Some(Duration::from_secs(5)));
    app.playbooks.answer([
        DeliveryOutcome::Unreachable { detail: detail() },
        DeliveryOutcome::Busy {
            status,
            retry_after,
            detail: detail(),
        },
        DeliveryOutcome::NoAnswer { detail: detail() },
        DeliveryOutcome::NotRegistered { detail: detail() },
    ]);
    let id = app.trigger("a").await;
    app.wait_for_state(&id, "acknowledged").await;
    let deliveries = app.playbooks.deliveries();
    assert_eq!(deliveries.len(), 5);
    assert!(
        deliveries
            .iter()
            .all(|delivery| delivery.execution_id.to_string() == id)
    );
    let found = app.get(&format!("/v1/executions/{id}")).await.is(200);
    let log = found.body["attempt_log"].as_array().unwrap();
    let outcomes: Vec<_> = log
        .iter()
        .map(|attempt| attempt["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(
        outcomes,
        ["retry", "retry", "retry", "retry", "acknowledged"]
    );
    let ran: Vec<_> = log
        .iter()
        .map(|attempt| attempt["may_have_run"].as_bool().unwrap())
        .collect();
    assert_eq!(ran, [false, true, true, false, true]);
}

#[tokio::test]
async fn what_is_refused_for_good_is_a_dead_letter() {
    let app = TestApp::start().await;
    app.playbooks.answer([DeliveryOutcome::Rejected {
        status: 422,
        detail: "say so".to_owned(),
    }]);
    let answer = app
        .event("backup_failed", "high", r#"{"file":"a","n":1}"#)
        .await
        .is(200);
    assert_eq!(
        answer.text("decision"),
        "playbook_queued",
        "it was not acknowledged"
    );
    let found = app
        .get(&format!("/v1/executions/{}", answer.text("execution_id")))
        .await
        .is(200);
    assert_eq!(
        (found.text("state"), found.text("message")),
        ("dead".to_owned(), "say so".to_owned())
    );
    let escalations = app.get("/v1/escalations").await.is(200);
    assert_eq!(escalations.body["items"][0]["reason"], "dead");
    // Nothing ran, so that the next event may trigger it.
    assert_eq!(
        app.event("backup_failed", "high", r#"{"file":"a","n":1}"#)
            .await
            .text("decision"),
        "playbook_triggered"
    );
}

#[tokio::test]
async fn a_playbook_that_stays_unregistered_dies_after_ten_seconds() {
    let app = TestApp::with(super::harness::RULES, &[("executor.ack_wait", "0")]).await;
    app.playbooks
        .answer((0..50).map(|_| DeliveryOutcome::NotRegistered { detail: detail() }));
    let id = app.trigger("a").await;
    app.wait_for_state(&id, "dead").await;
    let attempts = app.playbooks.deliveries().len();
    assert!((2..=12).contains(&attempts), "{attempts}");
}

#[tokio::test]
async fn a_refused_token_escalates_once_and_waits() {
    let app = TestApp::with(super::harness::RULES, &[("executor.ack_wait", "0")]).await;
    app.playbooks
        .answer((0..3).map(|_| DeliveryOutcome::TokenRefused {
            status: 403,
            detail: detail(),
        }));
    let id = app.trigger("a").await;
    app.playbooks.wait_for(1).await;
    app.wait_for_state(&id, "queued").await;
    let health = app.get("/health").await.is(200);
    assert_eq!(
        health.body["breakers"][0]["scope"],
        "playbook:backup-recovery"
    );
    assert_eq!(health.text("status"), "degraded");
    app.wait_for_state(&id, "acknowledged").await;
    let escalations = app.get("/v1/escalations").await.is(200);
    let items = escalations.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!(items[0]["reason"], "token_refused");
    let health = app.get("/health").await.is(200);
    assert_eq!(health.body["breakers"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_workflow_that_n8n_calls_failed_has_failed() {
    let app = TestApp::start().await;
    app.playbooks.answer([DeliveryOutcome::WorkflowFailed {
        status: 500,
        detail: detail(),
    }]);
    let answer = app
        .event("backup_failed", "high", r#"{"file":"a","n":1}"#)
        .await
        .is(200);
    assert_eq!(answer.text("decision"), "playbook_triggered");
    assert_eq!(app.state(&answer.text("execution_id")).await, "failed");
}

#[tokio::test]
async fn an_execution_that_is_never_delivered_dies_at_its_deadline() {
    let app = TestApp::with(
        super::harness::RULES,
        &[("executor.ack_wait", "0"), ("executor.deadline", "30s")],
    )
    .await;
    app.playbooks
        .answer((0..500).map(|_| DeliveryOutcome::Unreachable { detail: detail() }));
    let id = app.trigger("a").await;
    app.wait_for_state(&id, "dead").await;
    assert!(
        app.get(&format!("/v1/executions/{id}"))
            .await
            .text("message")
            .contains("its deadline has passed")
    );
}

#[tokio::test]
async fn one_playbook_has_at_most_half_of_the_places() {
    let rules = "rules: [{ id: a, event_type: backup_failed, cooldown_by: [context.x], action: { trigger_playbook: { name: a } } }, { id: b, event_type: security_threat, cooldown_by: [context.x], action: { trigger_playbook: { name: b } } }]";
    let app = TestApp::with(
        rules,
        &[("executor.ack_wait", "0"), ("n8n.max_in_flight", "4")],
    )
    .await;
    app.playbooks.hold();
    for x in 0..6 {
        app.event("backup_failed", "high", &format!(r#"{{"x":{x}}}"#))
            .await
            .is(200);
    }
    app.playbooks.wait_for(2).await;
    app.event("security_threat", "low", r#"{"x":1}"#)
        .await
        .is(200);
    let deliveries = app.playbooks.wait_for(3).await;
    let names: Vec<_> = deliveries
        .iter()
        .map(|delivery| delivery.playbook.as_str())
        .collect();
    assert_eq!(names, ["a", "a", "b"]);
    app.playbooks.release();
    app.playbooks.wait_for(7).await;
}

#[tokio::test]
async fn of_many_that_wait_one_tries_a_host_that_failed() {
    let rules = "rules: [{ id: a, event_type: backup_failed, cooldown_by: [context.x], action: { trigger_playbook: { name: a } } }]";
    let app = TestApp::with(rules, &[("executor.ack_wait", "0")]).await;
    let trigger = async |x: i32| {
        let context = format!(r#"{{"x":{x}}}"#);
        app.event("backup_failed", "high", &context).await.is(200);
    };
    app.playbooks
        .answer((0..5).map(|_| DeliveryOutcome::Unreachable { detail: detail() }));
    for x in 0..5 {
        trigger(x).await;
    }
    while app.get("/health").await.is(200).body["breakers"][0]["scope"] != "host" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    app.playbooks.hold();
    for x in 5..9 {
        trigger(x).await;
    }
    app.clock.advance(TimeDelta::seconds(10));
    app.playbooks.wait_for(6).await;
    // Long enough for the dispatcher to look again.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(app.playbooks.deliveries().len(), 6, "one trial");
    app.playbooks.release();
    app.playbooks.wait_for(5 + 9).await;
}
