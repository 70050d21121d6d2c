//! Pausing and resuming.

use super::harness::{ADMIN_KEY, API_KEY, TestApp};

#[tokio::test]
async fn a_pause_holds_what_comes_and_what_waits() {
    let app = TestApp::with(
        super::harness::RULES,
        &[("executor.ack_wait", "0"), ("n8n.max_in_flight", "1")],
    )
    .await;
    app.playbooks.hold();
    app.trigger("first").await;
    app.playbooks.wait_for(1).await;
    let waiting = app.trigger("second").await;
    let paused = app
        .post(
            "/v1/pause",
            ADMIN_KEY,
            r#"{"scope":"playbook:backup-recovery","reason":"a storm"}"#,
        )
        .await
        .is(200);
    assert_eq!(paused.body["items"][0]["scope"], "playbook:backup-recovery");
    assert_eq!(paused.body["items"][0]["paused_by"], "key:admin");
    app.playbooks.release();
    let held = app
        .event("backup_failed", "high", r#"{"file":"third","n":1}"#)
        .await
        .is(200);
    assert_eq!(held.text("decision"), "suppressed");
    assert!(
        held.text("message")
            .contains("paused (playbook:backup-recovery)")
    );
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert_eq!(app.state(&waiting).await, "queued");
    let health = app.get("/health").await.is(200);
    assert_eq!(
        health.body["pauses"][0], "playbook:backup-recovery",
        "open to anybody, and so without the reason"
    );
    let listed = app.get("/v1/pause").await.is(200);
    assert_eq!(listed.body["items"][0]["reason"], "a storm");
    let resumed = app
        .post(
            "/v1/resume",
            ADMIN_KEY,
            r#"{"scope":"playbook:backup-recovery","reason":"over"}"#,
        )
        .await;
    assert_eq!(resumed.is(200).body["items"].as_array().unwrap().len(), 0);
    app.wait_for_state(&waiting, "acknowledged").await;
}

#[tokio::test]
async fn wrong_scopes_and_reasons_are_told() {
    let app = TestApp::start().await;
    let pause = |body: &'static str| app.post("/v1/pause", ADMIN_KEY, body);
    pause(r#"{"scope":"everything","reason":"x"}"#)
        .await
        .problem(422, "validation", "/scope");
    pause(r#"{"scope":"rule:recovr","reason":"x"}"#)
        .await
        .problem(
            404,
            "not-found",
            "no live rule has the id `recovr`; did you mean `recover`?",
        );
    pause(r#"{"scope":"playbook:nothing","reason":"x"}"#)
        .await
        .problem(404, "not-found", "names the playbook");
    pause(r#"{"scope":"rule:A B","reason":"x"}"#)
        .await
        .problem(422, "validation", "/scope");
    pause(r#"{"scope":"all","reason":" "}"#)
        .await
        .problem(422, "validation", "/reason");
    pause(r#"{"scope":"all"}"#)
        .await
        .problem(422, "validation", "reason");
    pause(r#"{"scope":"all","reason":"x","until":1}"#)
        .await
        .problem(422, "validation", "until");
    let may_not = app
        .post("/v1/pause", API_KEY, r#"{"scope":"all","reason":"x"}"#)
        .await;
    may_not.problem(403, "forbidden", "executions:write");
}
