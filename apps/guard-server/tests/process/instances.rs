//! Several servers on one PostgreSQL.

use std::time::{Duration, Instant};

use guard_testkit::TestDatabase;

use super::server::{ADMIN_KEY, API_KEY, Server, event_now};

const RULES: &str = "rules: [{ id: first, event_type: backup_failed, action: ignore }]";
const CHANGED: &str =
    "rules: [{ id: second, event_type: backup_failed, action: { log: { level: info } } }]";

async fn decide(server: &Server) -> String {
    let response = server
        .client
        .post(server.url("/events"))
        .bearer_auth(API_KEY)
        .header("content-type", "application/json")
        .body(event_now("backup_failed", "{}"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let answer: serde_json::Value = response.json().await.unwrap();
    answer["decision"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_one_instance_publishes_or_pauses_holds_on_the_other() {
    let database = TestDatabase::create().await;
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, RULES).unwrap();
    let url = database.url();
    let environment = [
        ("DATABASE_URL", url.as_str()),
        ("NEURAL_GUARD__RULES__PATH", "rules.yaml"),
    ];
    let one = Server::start(folder.path(), &environment);
    let two = Server::start(folder.path(), &environment);
    assert_eq!(decide(&two).await, "ignored");

    std::fs::write(&rules, CHANGED).unwrap();
    one.signal("HUP");
    let begun = Instant::now();
    // Without any event on it, the other instance follows too.
    while two.get("/health").await["rules"]["revision"] != 2 {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "it does not follow"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(decide(&two).await, "logged");

    let pause = one
        .client
        .post(one.url("/v1/pause"))
        .bearer_auth(ADMIN_KEY)
        .header("content-type", "application/json")
        .body(r#"{"scope":"all","reason":"a test"}"#);
    assert_eq!(pause.send().await.unwrap().status(), 200);
    assert_eq!(decide(&two).await, "suppressed");
}
