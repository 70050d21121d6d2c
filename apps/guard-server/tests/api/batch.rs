//! `POST /v1/events/batch`.

use guard_testkit::event_body;
use http::Method;

use super::harness::{API_KEY, TestApp};

#[tokio::test]
async fn each_event_stands_alone() {
    let app = TestApp::start().await;
    let good = event_body("user_offboarding", "low", "{}");
    let trigger = event_body("backup_failed", "high", r#"{"file":"a","n":1}"#);
    let wrong = event_body("user_ofboarding", "low", "{}");
    let huge = event_body(
        "user_offboarding",
        "low",
        &format!(r#"{{"a":"{}"}}"#, "x".repeat(131_100)),
    );
    let batch = format!("[{good},{wrong}, {trigger} ,42,{huge}]");
    let answer = app.post("/v1/events/batch", API_KEY, batch).await.is(200);
    let items = answer.body["items"].as_array().unwrap();
    let seen: Vec<_> = items
        .iter()
        .map(|item| {
            (
                item["index"].as_u64().unwrap(),
                item["status"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(seen, [(0, 200), (1, 422), (2, 200), (3, 422), (4, 413)]);
    assert_eq!(items[0]["body"]["decision"], "ignored");
    assert_eq!(items[1]["body"]["errors"][0]["pointer"], "/event_type");
    assert_eq!(
        items[2]["body"]["decision"], "playbook_queued",
        "nobody waits for an acknowledgement"
    );
    assert_eq!(items[4]["body"]["type"], "/problems/too-large");
}

#[tokio::test]
async fn lines_are_a_batch_too() {
    let app = TestApp::start().await;
    let event = event_body("user_offboarding", "low", "{}");
    let lines = format!("{event}\r\n\n  {event}\nnonsense\n");
    let ndjson = [("content-type", "application/x-ndjson")];
    let answer = app
        .request(Method::POST, "/v1/events/batch", API_KEY, &ndjson, lines)
        .await
        .is(200);
    let statuses: Vec<_> = answer.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 200, 400]);
}

#[tokio::test]
async fn what_is_no_batch_is_refused_as_a_whole() {
    let app = TestApp::start().await;
    let path = "/v1/events/batch";
    app.post(path, API_KEY, "{}")
        .await
        .problem(400, "malformed-json", "JSON array");
    let empty = app.post(path, API_KEY, "[]").await.is(200);
    assert_eq!(empty.body["items"].as_array().unwrap().len(), 0);
    let many = format!("[{}]", vec!["1"; 1001].join(","));
    app.post(path, API_KEY, many)
        .await
        .problem(413, "too-large", "1001");
    app.post(path, API_KEY, " ".repeat(4 * 1024 * 1024 + 1))
        .await
        .problem(413, "too-large", "4194304");
    app.post(path, "", "[]")
        .await
        .problem(401, "unauthorized", "");
}

#[tokio::test]
async fn a_batch_is_decided_in_its_order() {
    let rules = "rules: [{ id: one, event_type: '*', cooldown_minutes: 60, action: { escalate: { to: default } } }]";
    let app = TestApp::with(rules, &[]).await;
    let event = |n| event_body("backup_failed", "high", &format!(r#"{{"n":{n}}}"#));
    let batch: Vec<_> = (0..1000).map(event).collect();
    let answer = app
        .post(
            "/v1/events/batch",
            API_KEY,
            format!("[{}]", batch.join(",")),
        )
        .await
        .is(200);
    let items = answer.body["items"].as_array().unwrap();
    assert_eq!(items[0]["body"]["decision"], "escalated");
    assert!(
        items[1..]
            .iter()
            .all(|item| item["body"]["decision"] == "suppressed")
    );
}

#[tokio::test]
async fn an_id_in_a_batch_is_a_key() {
    let app = TestApp::start().await;
    let event = event_body("user_offboarding", "low", "{}").replacen('{', r#"{"id":"k","#, 1);
    let answer = app
        .post("/v1/events/batch", API_KEY, format!("[{event},{event}]"))
        .await
        .is(200);
    let items = answer.body["items"].as_array().unwrap();
    assert_eq!(items[0]["body"]["event_id"], items[1]["body"]["event_id"]);
}
