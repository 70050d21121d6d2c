//! What workflows report.

use chrono::TimeDelta;
use secrecy::ExposeSecret;

use super::harness::{ADMIN_KEY, TestApp};

/// The token that came with the newest delivery.
fn token(app: &TestApp) -> String {
    app.playbooks
        .deliveries()
        .last()
        .unwrap()
        .callback_token
        .expose_secret()
        .to_owned()
}

#[tokio::test]
async fn start_and_result_close_the_loop() {
    let app = TestApp::start().await;
    let id = app.trigger("a").await;
    let (token, path) = (token(&app), format!("/v1/executions/{id}"));
    let (start_path, result_path) = (format!("{path}/start"), format!("{path}/result"));
    let start = |run: &str| {
        let body = format!(r#"{{"n8n_execution_id":{run}}}"#);
        app.post(&start_path, &token, body)
    };
    assert_eq!(start("231").await.is(200).text("state"), "started");
    start(r#""231""#).await.is(200);
    start("232").await.problem(
        409,
        "conflict",
        "another delivery of this execution has started",
    );
    app.clock.advance(TimeDelta::seconds(3));
    let result = |body: &'static str| app.post(&result_path, &token, body);
    let done = result(r#"{"status":"succeeded","message":"restored","data":{"rows":1.50}}"#).await;
    assert_eq!(done.is(200).text("state"), "succeeded");
    assert_eq!(
        result(r#"{"status":"failed"}"#).await.is(200).text("state"),
        "succeeded",
        "a repeat changes nothing"
    );
    start("231").await.problem(409, "conflict", "`succeeded`");
    let found = app.get(&path).await.is(200);
    insta::assert_json_snapshot!(found.body, { ".id" => "[id]", ".event_id" => "[id]" }, @r#"
    {
      "acknowledged_at": "2026-11-20T03:00:00.000000Z",
      "attempt_log": [
        {
          "answer": null,
          "attempt": 1,
          "detail": "n8n answered 200",
          "finished_at": "2026-11-20T03:00:00.000000Z",
          "may_have_run": true,
          "outcome": "acknowledged",
          "started_at": "2026-11-20T03:00:00.000000Z",
          "status_code": 200
        }
      ],
      "attempts": 1,
      "data": {
        "rows": 1.5
      },
      "deadline": "2026-11-20T04:00:00.000000Z",
      "dry_run": false,
      "event_id": "[id]",
      "executed_at": "2026-11-20T03:00:00.000000Z",
      "finished_at": "2026-11-20T03:00:03.000000Z",
      "id": "[id]",
      "message": "restored",
      "n8n_execution_id": "231",
      "next_attempt_at": null,
      "params": {
        "file": "a",
        "n": 1.5
      },
      "playbook": "backup-recovery",
      "redrive_of": null,
      "rollback_of": null,
      "rule_id": "recover",
      "rule_version": 1,
      "severity": "high",
      "started_at": "2026-11-20T03:00:00.000000Z",
      "state": "succeeded"
    }
    "#);
    assert!(
        found.text.contains(r#""rows":1.50"#),
        "as the workflow wrote it"
    );
}

#[tokio::test]
async fn foreign_forged_and_expired_tokens_are_refused() {
    let app = TestApp::start().await;
    let other = app.trigger("other").await;
    let others_token = token(&app);
    let id = app.trigger("a").await;
    let own = token(&app);
    let start = |token: String| {
        let path = format!("/v1/executions/{id}/start");
        let app = &app;
        async move { app.post(&path, &token, r#"{"n8n_execution_id":"1"}"#).await }
    };
    assert_ne!(other, id);
    start(others_token)
        .await
        .problem(401, "unauthorized", "callback token");
    start(ADMIN_KEY.to_owned())
        .await
        .problem(401, "unauthorized", "callback token");
    let mut forged = own.clone();
    let last = forged.pop().unwrap();
    forged.push(if last == '0' { '1' } else { '0' });
    start(forged)
        .await
        .problem(401, "unauthorized", "callback token");
    let (rest, signature) = own.rsplit_once('_').unwrap();
    start(format!("{rest}_{}", signature.to_uppercase()))
        .await
        .problem(401, "unauthorized", "callback token");
    let parts: Vec<&str> = own.splitn(3, '_').collect();
    let later = format!(
        "{}_{}_{}",
        parts[0],
        parts[1].parse::<i64>().unwrap() + 1,
        parts[2]
    );
    start(later)
        .await
        .problem(401, "unauthorized", "callback token");
    start(String::new())
        .await
        .problem(401, "unauthorized", "Bearer");
    let audit = app.get("/v1/audit").await.is(200);
    let records = audit.body["items"].as_array().unwrap();
    let refused: Vec<_> = records
        .iter()
        .filter(|record| record["action"] == "callback_refused")
        .collect();
    assert_eq!(refused.len(), 1, "one a minute for an execution");
    assert_eq!(refused[0]["target"], format!("execution:{id}"));
    assert_eq!(refused[0]["actor"], "callback");
    let unknown = "/v1/executions/019a0000-0000-7000-8000-000000000001/result";
    app.post(unknown, &own, r#"{"status":"succeeded"}"#)
        .await
        .problem(401, "unauthorized", "callback token");
    app.clock
        .advance(TimeDelta::hours(25) - TimeDelta::seconds(1));
    let path = format!("/v1/executions/{id}/result");
    app.post(&path, &own, r#"{"status":"succeeded"}"#)
        .await
        .is(200);
    app.clock.advance(TimeDelta::seconds(1));
    start(own)
        .await
        .problem(401, "unauthorized", "callback token");
}

#[tokio::test]
async fn wrong_bodies_are_told() {
    let app = TestApp::start().await;
    let id = app.trigger("a").await;
    let (token, path) = (token(&app), format!("/v1/executions/{id}"));
    let start = format!("{path}/start");
    app.post(&start, &token, "{}")
        .await
        .problem(422, "validation", "n8n_execution_id");
    app.post(&start, &token, r#"{"n8n_execution_id":""}"#)
        .await
        .problem(422, "validation", "/n8n_execution_id");
    app.post(&start, &token, "{")
        .await
        .problem(400, "malformed-json", "malformed");
    app.post(&start, &token, r#"{"n8n_execution_id":null}"#)
        .await
        .problem(422, "validation", "a string or a whole number");
    let result = format!("{path}/result");
    app.post(&result, &token, r#"{"status":"failed","data":"\ud800"}"#)
        .await
        .problem(400, "malformed-json", "surrogate");
    app.post(&result, &token, r#"{"status":"done"}"#)
        .await
        .problem(422, "validation", "succeeded");
}

#[tokio::test]
async fn silence_is_unconfirmed_and_a_late_result_is_taken() {
    let app = TestApp::start().await;
    let id = app.trigger("a").await;
    let token = token(&app);
    app.clock.advance(TimeDelta::minutes(15));
    app.wait_for_state(&id, "unconfirmed").await;
    let escalations = app.get("/v1/escalations").await.is(200);
    assert_eq!(escalations.body["items"][0]["reason"], "unconfirmed");
    let path = format!("/v1/executions/{id}");
    let start = app
        .post(
            &format!("{path}/start"),
            &token,
            r#"{"n8n_execution_id":"1"}"#,
        )
        .await;
    start.problem(409, "conflict", "`unconfirmed`");
    let late = app
        .post(
            &format!("{path}/result"),
            &token,
            r#"{"status":"succeeded"}"#,
        )
        .await;
    assert_eq!(late.is(200).text("state"), "succeeded");
}

#[tokio::test]
async fn tokens_outlive_the_process() {
    // The key is in the database: a second server on it accepts what the first gave out.
    let app = TestApp::start().await;
    let id = app.trigger("a").await;
    let token = token(&app);
    let surroundings = guard_server::wiring::Surroundings {
        clock: Some(app.clock.clone()),
        random: std::sync::Arc::new(guard_testkit::SeededRandom::default()),
        playbooks: Some(app.playbooks.clone()),
    };
    let address = "127.0.0.1:3000".parse().unwrap();
    let second = guard_server::wiring::build(&app.settings, address, surroundings)
        .await
        .unwrap();
    let id = guard_domain::ExecutionId::from_uuid(id.parse().unwrap());
    second
        .api
        .callbacks
        .start(&token, id, "1", "request-1")
        .await
        .unwrap();
}
