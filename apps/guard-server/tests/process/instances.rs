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

/// Asks an instance again and again until it answers so, for five seconds at most.
async fn within_five_seconds(what: &str, holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(5), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_one_instance_says_of_a_tenant_holds_on_the_other_and_after_a_restart() {
    let database = TestDatabase::create().await;
    let folder = tempfile::tempdir().unwrap();
    let url = database.url();
    let environment = [("DATABASE_URL", url.as_str())];
    let one = Server::start(folder.path(), &environment);
    let two = Server::start(folder.path(), &environment);
    let ask = async |method: &str, path: &str, body: &str| {
        let request = one.client.request(method.parse().unwrap(), one.url(path));
        let json = request.header("content-type", "application/json");
        let answer = json.bearer_auth(ADMIN_KEY).body(body.to_owned());
        let answer = answer.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json::<serde_json::Value>().await.unwrap()
    };
    let quota =
        |requests: u32| format!(r#"{{"rate_limit":{{"requests":{requests},"window":"60s"}}}}"#);
    let acme = format!(r#"{{"name":"acme","limits":{}}}"#, quota(7));
    ask("POST", "/v1/tenants", &acme).await;
    let order = r#"{"tenant":"acme","label":"x","scopes":["events:write"]}"#;
    let key = ask("POST", "/v1/keys", order).await["key"].clone();
    let key = key.as_str().unwrap();
    let send = async |server: &Server| {
        let request = server.client.post(server.url("/events")).bearer_auth(key);
        let event = request
            .header("content-type", "application/json")
            .body(event_now("backup_failed", "{}"));
        let answer = event.send().await.unwrap();
        let policy = answer.headers().get("ratelimit-policy");
        let policy = policy.map(|policy| policy.to_str().unwrap().to_owned());
        (answer.status().as_u16(), policy.unwrap_or_default())
    };
    let limited = |requests: u32| (200, format!(r#""normal";q={requests};w=60"#));
    let follows = async |wanted: (u16, String)| {
        within_five_seconds("the other instance does not follow", async || {
            send(&two).await == wanted
        })
        .await;
    };
    assert_eq!(send(&one).await, limited(7));
    follows(limited(7)).await;
    ask("PUT", "/v1/tenants/acme/limits", &quota(500)).await;
    assert_eq!(send(&one).await, limited(500));
    follows(limited(500)).await;
    ask("POST", "/v1/tenants/acme/disable", r#"{"reason":"a test"}"#).await;
    assert_eq!(send(&one).await.0, 403);
    follows((403, String::new())).await;

    drop(two);
    let two = Server::start(folder.path(), &environment);
    assert_eq!(send(&two).await.0, 403, "it knows from its start on");
    ask("POST", "/v1/tenants/acme/enable", r#"{"reason":"a test"}"#).await;
    within_five_seconds("it stays refused", async || {
        send(&two).await == limited(500)
    })
    .await;
}
