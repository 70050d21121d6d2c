//! JSON Web Tokens.

use guard_app::ports::Clock;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::harness::{ADMIN_KEY, RULES, TestApp};

pub(crate) const SECRET: &str = "the-secret-that-the-issuer-knows";

fn token(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::default(), claims, &key).unwrap()
}

/// A token of Alice, good for a minute.
pub(crate) fn of_tenant(app: &TestApp, tenant: &str, scope: &str) -> String {
    let exp = app.clock.now().timestamp() + 60;
    token(&json!({"sub": "alice", "exp": exp, "scope": scope, "tenant": tenant}))
}

#[tokio::test]
async fn a_token_acts_in_its_tenant_with_its_scopes() {
    let app = TestApp::with(RULES, &[("auth.jwt.secret", SECRET)]).await;
    let of = |scope: &str, tenant: &str| of_tenant(&app, tenant, scope);
    let writer = of("openid executions:write", "default");
    let pause = r#"{"scope":"all","reason":"a storm"}"#;
    let paused = app.post("/v1/pause", &writer, pause).await.is(200);
    assert_eq!(paused.body["items"][0]["paused_by"], "jwt:alice");
    let trail = app.get("/v1/audit").await.is(200);
    assert_eq!(trail.body["items"][0]["actor"], "jwt:alice");
    let lacking = app.get_as("/v1/rules", &writer).await;
    lacking.problem(403, "forbidden", "rules:read");
    app.tenant(&json!({"name": "acme"})).await.is(201);
    let elsewhere = app.get_as("/v1/rules", &of("rules:read", "acme")).await;
    assert_eq!(elsewhere.is(200).body["items"], json!([]));
    let key = r#"{"label":"x","scopes":["admin"]}"#;
    let made = app.post("/v1/keys", &of("admin", "acme"), key).await;
    assert_eq!(made.is(201).text("tenant"), "acme");

    let reader = of("rules:read", "default");
    app.get_as("/v1/rules", &reader).await.is(200);
    app.clock.advance(chrono::TimeDelta::seconds(90));
    let late = app.get_as("/v1/rules", &reader).await;
    late.problem(401, "unauthorized", "not valid");
    let exp = app.clock.now().timestamp() + 60;
    let padded = |length| {
        let claims =
            json!({"sub": "alice", "exp": exp, "scope": "rules:read", "pad": "x".repeat(length)});
        token(&claims)
    };
    app.get_as("/v1/rules", &padded(10)).await.is(200);
    let long = padded(8 * 1024);
    app.get_as("/v1/rules", &long).await.is(401);
    app.get_as("/v1/rules", ADMIN_KEY).await.is(200);
}

#[tokio::test]
async fn without_a_key_no_token_is_accepted() {
    let app = TestApp::start().await;
    let exp = app.clock.now().timestamp() + 60;
    let token = token(&json!({"sub": "alice", "exp": exp, "scope": "admin"}));
    app.get_as("/v1/rules", &token).await.is(401);
}
