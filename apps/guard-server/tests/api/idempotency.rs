//! The same request twice.

use guard_testkit::event_body;
use http::Method;

use super::harness::{API_KEY, Answer, TestApp};

async fn post(app: &TestApp, key: &str, body: &str) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    app.request(Method::POST, "/events", API_KEY, &headers, body.to_owned())
        .await
}

#[tokio::test]
async fn a_repeated_request_is_answered_and_runs_nothing() {
    let app = TestApp::start().await;
    let body = event_body("backup_failed", "high", r#"{"file":"a","n":1}"#);
    let first = post(&app, "\"key-1\"", &body).await.is(200);
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let second = post(&app, "key-1", &body).await.is(200);
    assert_eq!(second.headers["idempotent-replayed"], "true");
    assert_eq!(second.body, first.body);
    assert_eq!(app.playbooks.deliveries().len(), 1);
    let other = event_body("backup_failed", "low", "{}");
    post(&app, "key-1", &other)
        .await
        .problem(422, "idempotency-key-reused", "another body");
}

#[tokio::test]
async fn the_id_of_the_event_is_the_same_key() {
    let app = TestApp::start().await;
    let body = event_body("user_offboarding", "low", "{}").replacen('{', r#"{"id":"k","#, 1);
    let first = app.post("/events", API_KEY, body.clone()).await.is(200);
    let second = post(&app, "k", &body).await.is(200);
    assert_eq!(second.headers["idempotent-replayed"], "true");
    assert_eq!(first.body["event_id"], second.body["event_id"]);
    post(&app, "other", &body)
        .await
        .problem(422, "validation", "/id");
}

#[tokio::test]
async fn a_key_in_quotes_is_what_is_inside() {
    let app = TestApp::start().await;
    let body = event_body("user_offboarding", "low", "{}");
    post(&app, r#"a"b\c"#, &body).await.is(200);
    let same = post(&app, r#""a\"b\\c""#, &body).await.is(200);
    assert_eq!(same.headers["idempotent-replayed"], "true");
    let (longest, longer) = ("k".repeat(255), "k".repeat(256));
    post(&app, &format!("\"{longest}\""), &body).await.is(200);
    let quotes = "\"".repeat(257);
    for wrong in [
        r#"""#, r#""""#, r#""a"#, r#""a"b""#, r#""a\b""#, r#""a\""#, "a\tb", &quotes, &longer,
    ] {
        post(&app, wrong, &body)
            .await
            .problem(422, "validation", "");
    }
}

#[tokio::test]
async fn a_replay_tells_the_state_as_it_is_now() {
    let app = TestApp::with(super::harness::RULES, &[("executor.ack_wait", "50ms")]).await;
    app.playbooks.hold();
    let body = event_body("backup_failed", "high", r#"{"file":"a","n":1}"#);
    let first = post(&app, "k", &body).await.is(200);
    assert_eq!(first.text("decision"), "playbook_queued");
    assert_eq!(
        post(&app, "k", &body).await.text("decision"),
        "playbook_queued"
    );
    app.playbooks.release();
    app.wait_for_state(&first.text("execution_id"), "acknowledged")
        .await;
    assert_eq!(
        post(&app, "k", &body).await.text("decision"),
        "playbook_triggered"
    );
}

#[tokio::test]
async fn requests_at_the_same_moment_act_once() {
    let app = TestApp::start().await;
    let body = event_body("backup_failed", "high", r#"{"file":"a","n":1}"#);
    let answers = futures::future::join_all((0..20).map(|_| post(&app, "k", &body))).await;
    let first = answers[0].text("execution_id");
    assert!(
        answers
            .iter()
            .all(|answer| answer.text("execution_id") == first)
    );
    assert_eq!(app.playbooks.deliveries().len(), 1);
}

#[tokio::test]
async fn bad_keys_are_refused() {
    let app = TestApp::start().await;
    let body = event_body("user_offboarding", "low", "{}");
    post(&app, "", &body)
        .await
        .problem(422, "validation", "1 to 255");
    post(&app, &"k".repeat(256), &body)
        .await
        .problem(422, "validation", "1 to 255");
}
