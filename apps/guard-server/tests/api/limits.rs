//! How many events a source may send.

use guard_testkit::event_body;
use http::Method;

use super::harness::{API_KEY, Answer, TestApp};

/// Three events of each class in 30 seconds: one more every ten.
const THREE: [(&str, &str); 2] = [("rate_limit.requests", "3"), ("rate_limit.window", "30s")];
const RULES: &str = "rules: [{ id: quiet, event_type: '*', action: ignore }]";

async fn send(app: &TestApp, severity: &str, source: &str) -> Answer {
    let event = event_body("anomaly_detected", severity, "{}");
    let event = event.replace("sentinel", source);
    app.post("/v1/events", API_KEY, event).await
}

#[track_caller]
fn stands(answer: &Answer, policy: &str, left: &str) {
    assert_eq!(answer.headers["ratelimit-policy"], policy);
    assert_eq!(answer.headers["ratelimit"], left);
}

#[tokio::test]
async fn a_source_that_sends_too_much_is_told_when_to_come_again() {
    let app = TestApp::with(RULES, &THREE).await;
    let policy = r#""normal";q=3;w=30"#;
    let first = send(&app, "high", "sentinel").await.is(200);
    stands(&first, policy, r#""normal";r=2;t=10"#);
    assert!(!first.headers.contains_key("retry-after"));
    send(&app, "low", "sentinel").await.is(200);
    let last = app.event("anomaly_detected", "medium", "{}").await.is(200);
    stands(&last, policy, r#""normal";r=0;t=30"#);
    let refused = send(&app, "high", "sentinel").await;
    let refused = refused.problem(429, "rate-limited", "3 normal events of 30s");
    stands(&refused, policy, r#""normal";r=0;t=30"#);
    assert_eq!(refused.headers["retry-after"], "10");

    let critical = send(&app, "critical", "sentinel").await.is(200);
    stands(
        &critical,
        r#""critical";q=3;w=30"#,
        r#""critical";r=2;t=10"#,
    );
    send(&app, "high", "another").await.is(200);

    app.clock.advance(chrono::TimeDelta::milliseconds(9_500));
    let early = send(&app, "high", "sentinel").await.is(429);
    assert_eq!(early.headers["retry-after"], "1", "no whole second too few");
    app.clock.advance(chrono::TimeDelta::milliseconds(500));
    let again = send(&app, "high", "sentinel").await.is(200);
    stands(&again, policy, r#""normal";r=0;t=30"#);

    let listed = app.get("/v1/events").await.is(200);
    let listed = listed.body["items"].as_array().unwrap().len();
    assert_eq!(listed, 6, "what is refused is not recorded");
    let metrics = app.get("/metrics").await.is(200).text;
    assert!(
        metrics.contains(r#"neural_guard_rate_limited_total{class="normal"}"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn each_event_of_a_batch_counts_and_the_rest_go_on() {
    let app = TestApp::with(RULES, &THREE).await;
    let event = |severity| event_body("anomaly_detected", severity, "{}");
    let (normal, critical) = (event("high"), event("critical"));
    let other = normal.replace("sentinel", "another");
    let batch = format!(
        "[{normal},{{}},{normal},{critical},{normal},{normal},{other},{normal},{critical}]"
    );
    let answer = app.post("/v1/events/batch", API_KEY, batch).await.is(200);
    let items = answer.body["items"].as_array().unwrap();
    let statuses: Vec<_> = items
        .iter()
        .map(|item| item["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 422, 200, 200, 200, 429, 200, 429, 200]);
    assert_eq!(items[5]["body"]["type"], "/problems/rate-limited");
    let detail = items[5]["body"]["detail"].as_str().unwrap();
    assert!(detail.contains("try again in 10 s"), "{detail}");
    stands(
        &answer,
        r#""normal";q=3;w=30, "critical";q=3;w=30"#,
        r#""normal";r=0;t=30, "critical";r=1;t=20"#,
    );
    send(&app, "high", "sentinel").await.is(429);
    send(&app, "high", "another").await.is(200);
}

#[tokio::test]
async fn a_repetition_counts_and_what_is_no_event_does_not() {
    let app = TestApp::with(RULES, &THREE).await;
    let event = event_body("anomaly_detected", "high", "{}");
    let post = async |key: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        app.request(Method::POST, "/events", API_KEY, &headers, event.clone())
            .await
    };
    app.post("/events", "", event.clone()).await.is(401);
    app.post("/events", API_KEY, event.replace("high", "hihg"))
        .await
        .is(422);
    app.post("/events", API_KEY, "{").await.is(400);
    let first = post("k").await.is(200);
    stands(&first, r#""normal";q=3;w=30"#, r#""normal";r=2;t=10"#);
    let again = post("k").await.is(200);
    assert_eq!(again.headers["idempotent-replayed"], "true");
    stands(&again, r#""normal";q=3;w=30"#, r#""normal";r=1;t=20"#);
    post("l").await.is(200);
    post("k").await.problem(429, "rate-limited", "");
    post("m").await.problem(429, "rate-limited", "");
    app.clock.advance(chrono::TimeDelta::seconds(20));
    let later = post("m").await.is(200);
    assert!(
        !later.headers.contains_key("idempotent-replayed"),
        "the refused request left nothing behind"
    );
    assert_eq!(post("k").await.is(200).body, first.body);
}

#[tokio::test]
async fn single_sources_have_limits_of_their_own() {
    let settings = [
        ("rate_limit.requests", "1"),
        (
            "rate_limit.overrides",
            "loud:2, free:0, default/near:3, acme/sentinel:9",
        ),
    ];
    let app = TestApp::with(RULES, &settings).await;
    for (source, requests) in [("loud", 2), ("near", 3), ("sentinel", 1)] {
        for _ in 0..requests {
            let answer = send(&app, "high", source).await.is(200);
            let policy = format!(r#""normal";q={requests};w=60"#);
            assert_eq!(answer.headers["ratelimit-policy"], policy);
        }
        send(&app, "high", source).await.is(429);
    }
    for _ in 0..5 {
        let free = send(&app, "high", "free").await.is(200);
        assert!(!free.headers.contains_key("ratelimit"));
    }
}

#[tokio::test]
async fn limits_can_be_turned_off() {
    let app = TestApp::with(RULES, &[("rate_limit.requests", "0")]).await;
    let event = event_body("anomaly_detected", "high", "{}");
    for _ in 0..2 {
        let batch = format!("[{}]", vec![event.as_str(); 1000].join(","));
        let answer = app.post("/v1/events/batch", API_KEY, batch).await.is(200);
        assert!(!answer.text.contains("rate-limited"));
        assert!(!answer.headers.contains_key("ratelimit-policy"));
    }
}
