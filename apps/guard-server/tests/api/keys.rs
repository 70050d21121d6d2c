//! Managed keys.

use axum::body::Body;
use chrono::TimeDelta;
use guard_app::ports::{Clock, FreshKey};
use guard_app::{KeyOrder, MAX_LABEL};
use guard_domain::timestamp;
use guard_identity::RandomKeys;
use http::Method;
use serde_json::{Value, json};

use super::harness::{ADMIN_KEY, API_KEY, Answer, TestApp};

impl TestApp {
    /// Makes a key by the interface; gives its id and the key.
    pub(crate) async fn key(&self, tenant: &str, scopes: &[&str]) -> (String, String) {
        let body = json!({"tenant": tenant, "label": "of the tests", "scopes": scopes});
        let made = self.post("/v1/keys", ADMIN_KEY, body.to_string()).await;
        let made = made.is(201);
        (made.text("id"), made.text("key"))
    }

    pub(crate) async fn get_as(&self, path: &str, token: &str) -> Answer {
        self.request(Method::GET, path, token, &[], Body::empty())
            .await
    }
}

#[tokio::test]
async fn a_key_is_made_used_and_revoked_on_record() {
    let app = TestApp::start().await;
    let body = json!({
        "label": " Sentinel ", "scopes": ["rules:read", "audit:read", "rules:read"],
        "expires_at": timestamp::format(app.clock.now() + TimeDelta::days(1)),
    });
    let made = app.post("/v1/keys", ADMIN_KEY, body.to_string()).await;
    let made = made.is(201);
    let (id, key) = (made.text("id"), made.text("key"));
    assert!(key.starts_with(&format!("ng_{id}_")), "{key}");
    assert_eq!(made.body["label"], "Sentinel");
    assert_eq!(made.body["scopes"], json!(["rules:read", "audit:read"]));
    assert_eq!(made.body["secret"], "generated");
    app.get_as("/v1/rules", &key).await.is(200);
    let lacking = app.get_as("/v1/executions", &key).await;
    lacking.problem(403, "forbidden", "executions:read");
    let another_secret = format!("{key}x");
    let forged = app.get_as("/v1/rules", &another_secret).await;
    forged.problem(401, "unauthorized", "not valid");

    let path = format!("/v1/keys/{id}");
    let shown = app.get(&path).await.is(200);
    assert!(shown.body.get("key").is_none(), "{}", shown.text);
    let secret = key.rsplit('_').next().unwrap();
    assert!(!shown.text.contains(secret));
    let revoked = app.post(&format!("{path}/revoke"), ADMIN_KEY, "").await;
    let at = revoked.is(200).text("revoked_at");
    app.clock.advance(TimeDelta::milliseconds(4999));
    let late = app.get_as("/v1/rules", &key).await;
    late.problem(401, "unauthorized", "not valid");
    let again = app.post(&format!("{path}/revoke"), ADMIN_KEY, "").await;
    assert_eq!(again.is(200).text("revoked_at"), at);

    let trail = app.get("/v1/audit").await.is(200);
    let of_key: Vec<_> = trail.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|record| record["target"] == format!("key:{id}"))
        .collect();
    let acts: Vec<_> = of_key.iter().map(|record| &record["action"]).collect();
    assert_eq!(acts, ["key_revoked", "key_created"]);
    assert_eq!(of_key[0]["actor"], "key:admin");
    assert!(!trail.text.contains(secret));
}

#[tokio::test]
async fn a_key_expires() {
    let app = TestApp::start().await;
    let expires_at = timestamp::format(app.clock.now() + TimeDelta::seconds(2));
    let body = json!({"label": "x", "scopes": ["rules:read"], "expires_at": expires_at});
    let made = app.post("/v1/keys", ADMIN_KEY, body.to_string()).await;
    let key = made.is(201).text("key");
    app.get_as("/v1/rules", &key).await.is(200);
    app.clock.advance(TimeDelta::milliseconds(1999));
    app.get_as("/v1/rules", &key).await.is(200);
    app.clock.advance(TimeDelta::milliseconds(1));
    app.get_as("/v1/rules", &key).await.is(401);
}

#[tokio::test]
async fn wrong_orders_of_keys_are_told_all_at_once() {
    let app = TestApp::start().await;
    let order = |body: Value| app.post("/v1/keys", ADMIN_KEY, body.to_string());
    let wrong = json!({
        "label": "x".repeat(MAX_LABEL + 1), "scopes": ["event:write", "admin"], "expires_at": "2020-01-01T00:00:00Z",
    });
    let answer = order(wrong).await.problem(422, "validation", "/label");
    for words in [
        "did you mean `events:write`?",
        "/scopes/0",
        "/expires_at",
        "passed already",
    ] {
        assert!(answer.text.contains(words), "{words}: {}", answer.text);
    }
    let without = order(json!({"label": "x", "scopes": []})).await;
    without.problem(422, "validation", "at least one scope");
    let later = order(json!({"label": "x", "scopes": ["admin"], "expires_at": "later"})).await;
    later.problem(422, "validation", "/expires_at");
    let tenant = order(json!({"label": "x", "scopes": ["admin"], "tenant": "A B"})).await;
    tenant.problem(422, "validation", "/tenant");
    let sentinel = app.post("/v1/keys", API_KEY, "{}").await;
    sentinel.problem(403, "forbidden", "`admin`");
}

#[tokio::test]
async fn keys_are_listed_page_by_page() {
    let app = TestApp::start().await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(app.key("default", &["rules:read"]).await.0);
    }
    made.sort();
    let first = app.get("/v1/keys?limit=2").await.is(200);
    let cursor = first.text("next_cursor");
    let second = app.get(&format!("/v1/keys?limit=2&cursor={cursor}")).await;
    let second = second.is(200);
    assert_eq!(second.body["next_cursor"], Value::Null);
    let listed = [first.body, second.body].map(|page| page["items"].as_array().unwrap().clone());
    let ids: Vec<_> = listed
        .concat()
        .iter()
        .map(|key| key["id"].clone())
        .collect();
    assert_eq!(ids, made);
    for wrong in ["cursor=!", "limit=0", "limit=501"] {
        app.get(&format!("/v1/keys?{wrong}")).await.is(422);
    }
    app.get("/v1/keys/no-such-key").await.is(404);
    app.get("/v1/keys/0123").await.is(404);
}

#[tokio::test]
async fn only_the_default_tenant_looks_after_others() {
    let app = TestApp::start().await;
    let (id, acme) = app.key("acme", &["admin"]).await;
    let own = app.get_as("/v1/keys", &acme).await.is(200);
    assert_eq!(own.body["items"].as_array().unwrap().len(), 1);
    let others = app.get_as("/v1/keys?tenant=default", &acme).await;
    others.problem(403, "forbidden", "tenant `default`");
    let order = r#"{"tenant":"default","label":"x","scopes":["admin"]}"#;
    let others = app.post("/v1/keys", &acme, order).await;
    others.problem(403, "forbidden", "tenant `default`");
    let order = r#"{"label":"x","scopes":["admin"]}"#;
    let made = app.post("/v1/keys", &acme, order).await.is(201);
    assert_eq!(made.text("tenant"), "acme");
    app.get(&format!("/v1/keys/{id}")).await.is(404);
    let path = format!("/v1/keys/{id}/revoke?tenant=acme");
    app.post(&path, ADMIN_KEY, "").await.is(200);
}

#[tokio::test]
async fn a_chosen_secret_is_accepted_and_guessing_at_it_is_slowed_down() {
    let app = TestApp::start().await;
    let fresh: FreshKey = RandomKeys(app.guard.api.random.clone())
        .of_secret(&"correct-horse-battery".to_owned().into())
        .unwrap();
    let order = KeyOrder::parse("chosen", &["rules:read".to_owned()], None, app.clock.now());
    let tenant = guard_testkit::tenant("default");
    let issued = order.unwrap().fill(tenant, fresh, app.clock.now());
    let id = &issued.stored.id;
    let actor = guard_app::ports::Actor::system("test");
    let keys = &app.guard.api.keys.keys;
    keys.insert_key(&issued.stored, &actor).await.unwrap();
    let right = format!("ng_{id}_correct-horse-battery");
    let wrong = format!("ng_{id}_correct-horse-batterx");
    app.get_as("/v1/rules", &right).await.is(200);
    assert_eq!(
        app.get(&format!("/v1/keys/{id}")).await.text("secret"),
        "chosen"
    );
    for _ in 0..10 {
        app.get_as("/v1/rules", &wrong).await.is(401);
    }
    let slowed = app.get_as("/v1/rules", &wrong).await;
    assert_eq!(slowed.headers["retry-after"], "6");
    slowed.problem(429, "too-many-failed-logins", "try again in 6 s");
    // Not remembered as found any more, and still proven.
    app.clock.advance(TimeDelta::seconds(5));
    app.get_as("/v1/rules", &right).await.is(200);
    app.get_as("/v1/rules", &wrong).await.is(429);
}

#[tokio::test]
async fn failures_are_limited_and_right_tokens_pass() {
    let app = TestApp::start().await;
    for _ in 0..10 {
        app.get_as("/v1/rules", "ng_0123_nonsense").await.is(401);
    }
    let refused = app.get_as("/v1/rules", "nonsense").await;
    assert_eq!(refused.headers["retry-after"], "6");
    refused.problem(429, "too-many-failed-logins", "try again in 6 s");
    app.get("/v1/rules").await.is(200);
    let (_, fresh) = app.key("default", &["rules:read"]).await;
    app.get_as("/v1/rules", &fresh).await.is(200);
    app.clock.advance(TimeDelta::seconds(6));
    app.get_as("/v1/rules", "nonsense").await.is(401);
    let metrics = app.get("/metrics").await.is(200).text;
    for reason in ["unknown", "unknown_key", "too_many"] {
        let line = format!("neural_guard_logins_refused_total{{reason=\"{reason}\"}}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn the_last_use_is_written_beside_the_requests() {
    let app = TestApp::start().await;
    let (id, key) = app.key("default", &["rules:read"]).await;
    app.get_as("/v1/rules", &key).await.is(200);
    let path = format!("/v1/keys/{id}");
    for _ in 0..150 {
        if app.get(&path).await.body["last_used_at"].is_string() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the use of the key is not written");
}
