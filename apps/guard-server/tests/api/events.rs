//! `POST /events` and reading events back.

use guard_testkit::event_body;
use http::Method;

use super::harness::{ADMIN_KEY, API_KEY, TestApp};

#[tokio::test]
async fn each_type_of_sentinels_events_is_decided_and_answered_as_documented() {
    let app = TestApp::start().await;
    let file = r#"{"file":"a.gz","n":1.50}"#;
    let triggered = app.event("backup_failed", "high", file).await.is(200);
    insta::assert_json_snapshot!(triggered.body, { ".event_id" => "[id]", ".execution_id" => "[id]" }, @r#"
    {
      "decision": "playbook_triggered",
      "event_id": "[id]",
      "execution_id": "[id]",
      "message": "Triggered playbook: backup-recovery",
      "playbook_triggered": "backup-recovery",
      "rule_id": "recover",
      "status": "processed"
    }
    "#);
    let mut rest = Vec::new();
    for (event_type, context) in [
        ("health_check_failed", r#"{"service":"db"}"#),
        ("anomaly_detected", "{}"),
        ("user_offboarding", "{}"),
        ("security_threat", "{}"),
        ("backup_failed", file),
    ] {
        let answer = app.event(event_type, "high", context).await.is(200);
        assert!(
            answer.body["playbook_triggered"].is_null() && answer.body["execution_id"].is_null()
        );
        rest.push(format!(
            "{event_type}: {} | {}",
            answer.text("decision"),
            answer.text("message")
        ));
    }
    insta::assert_json_snapshot!(rest, @r#"
    [
      "health_check_failed: escalated | Escalated to: default",
      "anomaly_detected: logged | Logged at level info",
      "user_offboarding: ignored | Ignored by rule: quiet",
      "security_threat: no_action | No rule matched",
      "backup_failed: suppressed | Suppressed: recover is in cooldown until 2026-11-20T03:10:00.000000Z"
    ]
    "#);
}

#[tokio::test]
async fn v1_events_is_the_same_path() {
    let app = TestApp::start().await;
    let body = event_body("anomaly_detected", "low", "{}");
    assert_eq!(
        app.post("/v1/events", API_KEY, body)
            .await
            .is(200)
            .text("decision"),
        "logged"
    );
}

#[tokio::test]
async fn without_an_acknowledgement_in_time_it_is_queued() {
    let app = TestApp::with(super::harness::RULES, &[("executor.ack_wait", "50ms")]).await;
    app.playbooks.hold();
    let answer = app
        .event("backup_failed", "high", r#"{"file":"a","n":1}"#)
        .await
        .is(200);
    assert_eq!(answer.text("decision"), "playbook_queued");
    assert_eq!(answer.text("playbook_triggered"), "backup-recovery");
    assert_eq!(
        answer.text("message"),
        "Queued playbook: backup-recovery; n8n has not acknowledged it yet"
    );
    let record = app
        .get(&format!("/v1/events/{}", answer.text("event_id")))
        .await
        .is(200);
    assert_eq!(
        record.body["decision"]["decision"], "playbook_triggered",
        "on record"
    );
    app.playbooks.release();
    app.wait_for_state(&answer.text("execution_id"), "acknowledged")
        .await;
}

#[tokio::test]
async fn with_ack_wait_0_nobody_waits() {
    let app = TestApp::with(super::harness::RULES, &[("executor.ack_wait", "0")]).await;
    app.playbooks.hold();
    let answer = app
        .event("backup_failed", "high", r#"{"file":"a","n":1}"#)
        .await
        .is(200);
    assert_eq!(answer.text("decision"), "playbook_queued");
}

#[tokio::test]
async fn an_event_is_read_back_as_it_was_sent() {
    let app = TestApp::start().await;
    let context = r#"{"file":"a.gz","n":123456789012345678901.500,"twice":1,"twice":"\u00e9"}"#;
    let body = event_body("backup_failed", "high", context).replacen('{', r#"{"id":"s-1","#, 1);
    let answer = app.post("/events", API_KEY, body).await.is(200);
    let found = app
        .get(&format!("/v1/events/{}", answer.text("event_id")))
        .await
        .is(200);
    assert!(
        found.text.contains(&format!(r#""context":{context}"#)),
        "{}",
        found.text
    );
    assert!(
        found.text.contains(r#""sender_id":"s-1""#)
            && found.text.contains(r#""timestamp":"2026-11-20T03:00:00""#)
    );
    assert_eq!(found.body["event"]["id"], answer.body["event_id"]);
    assert_eq!(
        found.body["event"]["received_at"],
        "2026-11-20T03:00:00.000000Z"
    );
    insta::assert_json_snapshot!(found.body["decision"], @r#"
    {
      "decision": "playbook_triggered",
      "executed_at": "2026-11-20T03:00:00.000000Z",
      "message": "Triggered playbook: backup-recovery",
      "revision": 1,
      "rule_id": "recover",
      "rule_version": 1
    }
    "#);
    assert_eq!(found.body["execution"]["playbook"], "backup-recovery");
    assert_eq!(found.body["execution"]["attempts"], 1);
    let none = app
        .event("security_threat", "low", "{}")
        .await
        .text("event_id");
    let none = app.get(&format!("/v1/events/{none}")).await.is(200);
    assert!(none.body["execution"].is_null() && none.body["decision"]["rule_id"].is_null());
}

#[tokio::test]
async fn events_are_listed_by_page_and_filter() {
    let app = TestApp::start().await;
    for _ in 0..5 {
        app.event("user_offboarding", "low", "{}").await.is(200);
        app.clock.advance(chrono::TimeDelta::milliseconds(1));
    }
    app.event("anomaly_detected", "low", "{}").await.is(200);
    let first = app
        .get("/v1/events?event_type=user_offboarding&limit=3")
        .await
        .is(200);
    assert_eq!(first.body["items"].as_array().unwrap().len(), 3);
    let cursor = first.text("next_cursor");
    let second = app
        .get(&format!(
            "/v1/events?event_type=user_offboarding&limit=3&cursor={cursor}"
        ))
        .await
        .is(200);
    assert_eq!(second.body["items"].as_array().unwrap().len(), 2);
    assert!(second.body["next_cursor"].is_null());
    let count =
        |answer: super::harness::Answer| answer.is(200).body["items"].as_array().unwrap().len();
    assert_eq!(count(app.get("/v1/events?decision=logged").await), 1);
    assert_eq!(count(app.get("/v1/events?source=nobody").await), 0);
    assert_eq!(
        count(app.get("/v1/events?since=2026-11-20T04:00:00Z").await),
        0
    );
    app.clock.advance(chrono::TimeDelta::hours(25));
    assert_eq!(
        count(app.get("/v1/events").await),
        0,
        "24 hours if nobody says"
    );
    assert_eq!(
        count(app.get("/v1/events?since=2026-11-20T00:00:00").await),
        6
    );
}

#[tokio::test]
async fn an_old_event_is_stale_and_escalated() {
    let app = TestApp::start().await;
    app.clock.advance(chrono::TimeDelta::minutes(61));
    let answer = app
        .event("backup_failed", "critical", r#"{"file":"a","n":1}"#)
        .await
        .is(200);
    assert_eq!(answer.text("decision"), "stale");
    let escalations = app.get("/v1/escalations").await.is(200);
    assert_eq!(escalations.body["items"][0]["reason"], "stale");
    assert_eq!(
        escalations.body["items"][0]["event_id"],
        answer.body["event_id"]
    );
    assert_eq!(app.playbooks.deliveries().len(), 0);
}

#[tokio::test]
async fn a_hole_in_the_params_calls_a_human() {
    let app = TestApp::start().await;
    let answer = app
        .event("backup_failed", "high", r#"{"file":"a"}"#)
        .await
        .is(200);
    assert_eq!(answer.text("decision"), "escalated");
    assert!(
        answer
            .text("message")
            .contains("the event has no `context.n`")
    );
    assert_eq!(
        app.event("backup_failed", "high", r#"{"file":"a","n":1}"#)
            .await
            .text("decision"),
        "playbook_triggered"
    );
}

#[tokio::test]
async fn a_dry_server_calls_nothing() {
    let app = TestApp::with(super::harness::RULES, &[("server.dry_run", "true")]).await;
    let answer = app
        .event("backup_failed", "high", r#"{"file":"a","n":1}"#)
        .await
        .is(200);
    assert_eq!(answer.text("decision"), "dry_run");
    assert_eq!(
        answer.text("message"),
        "Dry run: would have triggered playbook: backup-recovery"
    );
    assert_eq!(app.state(&answer.text("execution_id")).await, "dry_run");
    app.event("health_check_failed", "high", r#"{"service":"x"}"#)
        .await
        .is(200);
    assert_eq!(
        app.get("/v1/escalations").await.body["items"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    assert_eq!(app.playbooks.deliveries().len(), 0);
}

#[tokio::test]
async fn who_may_not_is_told_which_scope_is_missing() {
    let app = TestApp::start().await;
    let body = event_body("anomaly_detected", "low", "{}");
    app.post("/events", "", body.clone()).await.problem(
        401,
        "unauthorized",
        "Authorization: Bearer",
    );
    let wrong = app.post("/events", "not-the-key", body.clone()).await;
    let wrong = wrong.problem(401, "unauthorized", "not valid");
    assert_eq!(wrong.headers["www-authenticate"], "Bearer");
    assert!(!wrong.text.contains("not-the-key"));
    let read = app
        .request(Method::GET, "/v1/events", API_KEY, &[], "")
        .await;
    read.problem(403, "forbidden", "executions:read");
    app.post("/events", ADMIN_KEY, body).await.is(200);
}

#[tokio::test]
async fn extra_types_are_accepted_when_configured() {
    let app = TestApp::with(
        super::harness::RULES,
        &[("events.extra_types", "disk_full")],
    )
    .await;
    assert_eq!(
        app.event("disk_full", "low", "{}")
            .await
            .is(200)
            .text("decision"),
        "no_action"
    );
}
