//! Bad input, and what is said about it.

use guard_testkit::event_body;
use http::Method;
use sqlx::Connection;

use super::harness::{ADMIN_KEY, API_KEY, TestApp};

#[tokio::test]
async fn wrong_fields_are_named_with_the_nearest_word() {
    let app = TestApp::start().await;
    let body = r#"{"event_type":"backup_faild","severity":"hihg","sorce":"x","timestamp":"now","context":[]}"#;
    let answer = app
        .post("/events", API_KEY, body)
        .await
        .problem(422, "validation", "errors");
    insta::assert_json_snapshot!(answer.body["errors"], @r#"
    [
      {
        "detail": "unknown field `sorce`; did you mean `source`?",
        "pointer": "/sorce"
      },
      {
        "detail": "unknown event type `backup_faild`, expected one of anomaly_detected, backup_failed, health_check_failed, security_threat, user_offboarding; did you mean `backup_failed`?",
        "pointer": "/event_type"
      },
      {
        "detail": "unknown severity `hihg`, expected one of low, medium, high, critical; did you mean `high`?",
        "pointer": "/severity"
      },
      {
        "detail": "field `source` is required",
        "pointer": "/source"
      },
      {
        "detail": "`now` is not an RFC 3339 timestamp such as 2026-11-20T03:01:00Z",
        "pointer": "/timestamp"
      },
      {
        "detail": "an object is expected, not an array",
        "pointer": "/context"
      }
    ]
    "#);
}

#[tokio::test]
async fn bytes_that_are_no_json_are_malformed() {
    let app = TestApp::start().await;
    for body in ["", "{", "{\"a\": \"\\ud800\"}", "nonsense"] {
        app.post("/events", API_KEY, body)
            .await
            .problem(400, "malformed-json", "malformed JSON");
    }
    app.post("/events", API_KEY, vec![0xff, 0xfe])
        .await
        .problem(400, "malformed-json", "UTF-8");
    app.post("/events", API_KEY, "[]").await.problem(
        422,
        "validation",
        "an event is a JSON object",
    );
}

#[tokio::test]
async fn bodies_are_bounded_and_typed() {
    let app = TestApp::start().await;
    let padded = |size| event_body("anomaly_detected", "low", "{}") + &" ".repeat(size);
    let exact = 128 * 1024 - event_body("anomaly_detected", "low", "{}").len();
    app.post("/events", API_KEY, padded(exact)).await.is(200);
    app.post("/events", API_KEY, padded(exact + 1))
        .await
        .problem(413, "too-large", "131072");
    let text = [("content-type", "text/plain")];
    let answer = app
        .request(Method::POST, "/events", API_KEY, &text, padded(0))
        .await;
    answer.problem(415, "unsupported-media-type", "application/json");
    app.request(Method::POST, "/events", API_KEY, &[], padded(0))
        .await
        .is(200);
    let charset = [("content-type", "application/json; charset=utf-8")];
    app.request(Method::POST, "/events", API_KEY, &charset, padded(0))
        .await
        .is(200);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let app = TestApp::start().await;
    app.get("/nowhere")
        .await
        .problem(404, "not-found", "/nowhere");
    app.get("/v1/events/not-an-id")
        .await
        .problem(404, "not-found", "nothing of this id");
    app.get("/v1/events/019a0000-0000-7000-8000-000000000001")
        .await
        .problem(404, "not-found", "no such event");
    let delete = app
        .request(Method::DELETE, "/events", ADMIN_KEY, &[], "")
        .await;
    let delete = delete.problem(405, "method-not-allowed", "does not take this method");
    assert!(delete.headers["allow"].to_str().unwrap().contains("POST"));
}

#[tokio::test]
async fn wrong_queries_are_told() {
    let app = TestApp::start().await;
    app.get("/v1/events?limit=501")
        .await
        .problem(422, "validation", "1 to 500");
    app.get("/v1/events?limit=0")
        .await
        .problem(422, "validation", "1 to 500");
    app.get("/v1/events?limit=x")
        .await
        .problem(422, "validation", "the query is wrong");
    app.get("/v1/events?colour=red")
        .await
        .problem(422, "validation", "colour");
    app.get("/v1/events?decision=trigered")
        .await
        .problem(422, "validation", "unknown decision");
    app.get("/v1/events?since=yesterday")
        .await
        .problem(422, "validation", "RFC 3339");
    app.get("/v1/events?cursor=AAAA")
        .await
        .problem(422, "validation", "cursor");
    app.get("/v1/executions?status=running").await.problem(
        422,
        "validation",
        "unknown execution state",
    );
    app.get("/v1/executions?playbook=../x")
        .await
        .problem(422, "validation", "not a slug");
}

#[tokio::test]
async fn a_request_id_is_taken_over_if_it_is_one() {
    let app = TestApp::start().await;
    let id = "019a0000-0000-7000-8000-00000000abcd";
    let sent = [("x-request-id", id)];
    let answer = app.request(Method::GET, "/nowhere", "", &sent, "").await;
    assert_eq!(
        answer.problem(404, "not-found", id).headers["x-request-id"],
        id
    );
    let forged = [("x-request-id", "x y")];
    let answer = app.request(Method::GET, "/nowhere", "", &forged, "").await;
    assert_ne!(
        answer.problem(404, "not-found", "").headers["x-request-id"],
        "x y"
    );
}

#[tokio::test]
async fn a_locked_database_answers_503_and_loses_nothing() {
    let app = TestApp::with(super::harness::RULES, &[("database.timeout", "1s")]).await;
    let other = app.database.block().await;
    let answer = app.event("anomaly_detected", "low", "{}").await;
    let answer = answer.problem(503, "database-unavailable", "nothing was recorded");
    let ready = app.get("/health/ready").await.is(503);
    assert_eq!(ready.body["database"]["status"], "down");
    assert!(answer.headers.contains_key("retry-after"));
    other.close().await.unwrap();
    app.event("anomaly_detected", "low", "{}").await.is(200);
    let events = app.get("/v1/events").await.is(200);
    assert_eq!(
        events.body["items"].as_array().unwrap().len(),
        1,
        "what was refused is not there"
    );
}
