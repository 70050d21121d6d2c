//! The audit trail.

use http::Method;

use super::harness::{ADMIN_KEY, API_KEY, TestApp};

#[tokio::test]
async fn decisions_and_acts_are_on_record() {
    let app = TestApp::start().await;
    app.clock.advance(chrono::TimeDelta::seconds(1));
    let event = app
        .event("user_offboarding", "low", "{}")
        .await
        .text("event_id");
    app.clock.advance(chrono::TimeDelta::seconds(1));
    app.post(
        "/v1/pause",
        ADMIN_KEY,
        r#"{"scope":"all","reason":"drill"}"#,
    )
    .await
    .is(200);
    let newest = app.get("/v1/audit").await.is(200);
    let seen: Vec<_> = newest.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| {
            format!(
                "{} by {}: {}",
                record["action"].as_str().unwrap(),
                record["actor"].as_str().unwrap(),
                record["message"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            "paused by key:admin: drill",
            "decision by key:api: Ignored by rule: quiet",
            "rules_published by system:test: Published revision 1 with 4 rules from RULES",
        ]
        .map(|line| line.replace(
            "RULES",
            app.settings.rules_path.as_ref().unwrap().to_str().unwrap()
        ))
    );
    let one = app
        .get(&format!("/v1/audit?event_id={event}"))
        .await
        .is(200);
    assert_eq!(one.body["items"][0]["decision"], "ignored");
    app.request(Method::GET, "/v1/audit", API_KEY, &[], "")
        .await
        .problem(403, "forbidden", "audit:read");
}

#[tokio::test]
async fn a_siem_walks_it_oldest_first_and_comes_back() {
    let app = TestApp::start().await;
    for _ in 0..4 {
        app.event("user_offboarding", "low", "{}").await.is(200);
    }
    let ndjson = [("accept", "application/x-ndjson")];
    let (mut cursor, mut lines) = (String::new(), Vec::new());
    loop {
        let path = format!("/v1/audit?limit=2&after={cursor}");
        let page = app
            .request(Method::GET, &path, ADMIN_KEY, &ndjson, "")
            .await
            .is(200);
        assert_eq!(page.headers["content-type"], "application/x-ndjson");
        cursor = page.headers["next-cursor"].to_str().unwrap().to_owned();
        if page.text.is_empty() {
            break;
        }
        lines.extend(page.text.lines().map(str::to_owned));
    }
    assert_eq!(lines.len(), 5);
    assert!(lines[0].contains("rules_published"));
    app.event("user_offboarding", "low", "{}").await.is(200);
    let more = app.get(&format!("/v1/audit?after={cursor}")).await.is(200);
    assert_eq!(more.body["items"].as_array().unwrap().len(), 1);
    app.get("/v1/audit?after=&rule_id=quiet")
        .await
        .problem(422, "validation", "`limit` alone");
    app.get("/v1/audit?after=AAAA")
        .await
        .problem(422, "validation", "cursor");
}
