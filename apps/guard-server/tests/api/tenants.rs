//! Tenants: created, limited, disabled.

use guard_testkit::event_body;
use http::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::harness::{ADMIN_KEY, Answer, RULES, TestApp};
use super::jwt;

impl TestApp {
    /// Creates a tenant by the interface.
    pub(crate) async fn tenant(&self, body: &Value) -> Answer {
        self.post("/v1/tenants", ADMIN_KEY, body.to_string()).await
    }

    /// Does something to a tenant, for a reason.
    async fn switch(&self, tenant: &str, what: &str, token: &str) -> Answer {
        let path = format!("/v1/tenants/{tenant}/{what}");
        self.post(&path, token, r#"{"reason":"unpaid"}"#).await
    }

    async fn limit(&self, tenant: &str, token: &str, limits: &Value) -> Answer {
        let path = format!("/v1/tenants/{tenant}/limits");
        self.request(Method::PUT, &path, token, &[], limits.to_string())
            .await
    }

    /// What was done to a tenant, oldest first, as its own auditor sees it.
    async fn acts_on(&self, tenant: &str) -> Vec<String> {
        let (_, auditor) = self.key(tenant, &["audit:read"]).await;
        let trail = self.get_as("/v1/audit?after=", &auditor).await.is(200);
        let of_tenant = |record: &&Value| record["target"] == format!("tenant:{tenant}");
        let records = trail.body["items"].as_array().unwrap().iter();
        let acts = records.filter(of_tenant).map(|record| {
            assert_eq!(record["actor"], "key:admin");
            assert!(record["request_id"].is_string());
            let word = |field: &str| record[field].as_str().unwrap().to_owned();
            format!("{}: {}", word("action"), word("message"))
        });
        acts.collect()
    }
}

#[tokio::test]
async fn a_tenant_is_created_once_on_record() {
    let app = TestApp::start().await;
    let body = json!({
        "name": "acme", "label": " Acme Inc ",
        "limits": {"rate_limit": {"requests": 5, "window": "1m"}, "sources": {"probe": null}},
    });
    let created = app.tenant(&body).await.is(201);
    insta::assert_json_snapshot!(created.body, @r#"
    {
      "created_at": "2026-11-20T03:00:00.000000Z",
      "disabled_at": null,
      "disabled_reason": null,
      "label": "Acme Inc",
      "limits": {
        "rate_limit": {
          "requests": 5,
          "window": "60s"
        },
        "sources": {
          "probe": null
        }
      },
      "name": "acme"
    }
    "#);
    app.clock.advance(chrono::TimeDelta::seconds(1));
    let again = app.tenant(&body).await.is(200);
    assert_eq!(again.body, created.body);
    let other = app.tenant(&json!({"name": "acme"})).await;
    other.problem(409, "conflict", "`acme` exists, with another label");
    let shown = app.get("/v1/tenants/acme").await.is(200);
    assert_eq!(shown.body, created.body);
    let acts = app.acts_on("acme").await;
    assert_eq!(
        acts,
        [
            "tenant_created: The tenant was created (Acme Inc), with limits: `probe` none, other sources 5 in 60s"
        ]
    );
}

#[tokio::test]
async fn tenants_are_listed_in_pages_however_they_came_into_being() {
    let app = TestApp::start().await;
    app.key("globex", &["rules:read"]).await;
    for name in ["initech", "acme"] {
        app.tenant(&json!({"name": name})).await.is(201);
    }
    // It came into being with its key, just as is wanted here.
    app.tenant(&json!({"name": "globex"})).await.is(200);
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/tenants?limit=3{cursor}");
        let page = app.get(&path).await.is(200);
        let items = page.body["items"].as_array().unwrap();
        names.extend(items.iter().map(|item| item["name"].clone()));
        let Some(next) = page.body["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(names, ["acme", "default", "globex", "initech"]);
    let wrong = app.get("/v1/tenants?cursor=A").await;
    wrong.problem(422, "validation", "cursor");
    let wrong = app.get("/v1/tenants?limit=501").await;
    wrong.problem(422, "validation", "1 to 500");
}

#[tokio::test]
async fn only_the_default_tenants_administrator_changes_tenants() {
    let app = TestApp::start().await;
    app.tenant(&json!({"name": "globex"})).await.is(201);
    let (_, acme) = app.key("acme", &["admin"]).await;
    let own = app.get_as("/v1/tenants", &acme).await.is(200);
    let items = own.body["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["name"]), (1, &json!("acme")));
    let past = app.get_as("/v1/tenants?cursor=acme", &acme).await.is(200);
    assert_eq!(past.body["items"], json!([]));
    app.get_as("/v1/tenants/acme", &acme).await.is(200);
    let refused =
        |answer: Answer| answer.problem(403, "forbidden", "administrator of tenant `default`");
    refused(
        app.post("/v1/tenants", &acme, r#"{"name":"initech"}"#)
            .await,
    );
    refused(app.limit("acme", &acme, &json!({})).await);
    for what in ["disable", "enable"] {
        refused(app.switch("acme", what, &acme).await);
    }
    for other in ["globex", "default", "nobody", "No Slug"] {
        let other = other.replace(' ', "%20");
        let path = format!("/v1/tenants/{other}");
        let missing = |answer: Answer| answer.problem(404, "not-found", "no such tenant");
        missing(app.get_as(&path, &acme).await);
        missing(app.limit(&other, &acme, &json!({})).await);
        for what in ["disable", "enable"] {
            missing(app.switch(&other, what, &acme).await);
        }
    }
    let (_, reader) = app.key("default", &["audit:read"]).await;
    let lacking = app.get_as("/v1/tenants", &reader).await;
    lacking.problem(403, "forbidden", "`admin`");
    for missing in ["nobody", "No%20Slug"] {
        app.get(&format!("/v1/tenants/{missing}")).await.is(404);
        app.limit(missing, ADMIN_KEY, &json!({})).await.is(404);
        app.switch(missing, "disable", ADMIN_KEY).await.is(404);
    }
    assert_eq!(app.acts_on("acme").await, [""; 0], "nothing was done");
}

#[tokio::test]
async fn what_is_wrong_with_a_tenant_is_told_at_its_place() {
    let app = TestApp::start().await;
    let wrong = async |body: &Value| {
        let answer = app.tenant(body).await.problem(422, "validation", "");
        let errors = answer.body["errors"].as_array().unwrap().iter();
        let pointers = errors.map(|error| error["pointer"].as_str().unwrap().to_owned());
        pointers.collect::<Vec<_>>()
    };
    let body = json!({"name": "Acme", "label": ""});
    assert_eq!(wrong(&body).await, ["/name", "/label"]);
    let limits = |limits: Value| json!({"name": "acme", "limits": limits});
    let body =
        limits(json!({"rate_limit": {"requests": 0, "window": "soon"}, "sources": {"": null}}));
    assert_eq!(
        wrong(&body).await,
        [
            "/limits/rate_limit/window",
            "/limits/rate_limit/requests",
            "/limits/sources/"
        ]
    );
    let quota = json!({"requests": 1, "window": "2d"});
    let body = limits(json!({"sources": {"a/b": quota}}));
    assert_eq!(wrong(&body).await, ["/limits/sources/a~1b/window"]);
    let body = limits(json!({"rate_limit": {"requests": -1, "window": "1s"}}));
    assert_eq!(wrong(&body).await, ["/limits/rate_limit/requests"]);
    let body = json!({"name": "acme", "owner": "me"});
    assert_eq!(wrong(&body).await, ["/owner"]);
    let many: serde_json::Map<_, _> = (0..101).map(|n| (n.to_string(), Value::Null)).collect();
    let answer = app
        .limit("default", ADMIN_KEY, &json!({"sources": many}))
        .await;
    answer.problem(422, "validation", "at most 100 sources");
    let twice = r#"{"name":"acme","limits":{"sources":{"a":null,"a":null}}}"#;
    let answer = app.post("/v1/tenants", ADMIN_KEY, twice).await;
    answer.problem(422, "validation", "the source `a` is there twice");
    let none = app.post("/v1/tenants/acme/disable", ADMIN_KEY, "{}").await;
    none.problem(422, "validation", "a reason has 1 to 1000 characters");
    app.get("/v1/tenants/acme").await.is(404);
}

#[tokio::test]
async fn a_disabled_tenants_tokens_are_refused_and_its_runs_go_on() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("acme")).unwrap();
    for file in ["rules.yaml", "acme/rules.yaml"] {
        std::fs::write(folder.path().join(file), RULES).unwrap();
    }
    let settings = [
        ("rules.path", folder.path().to_str().unwrap()),
        ("executor.ack_wait", "5s"),
        ("auth.jwt.secret", jwt::SECRET),
    ];
    let app = TestApp::with(RULES, &settings).await;
    let (_, key) = app.key("acme", &["admin"]).await;
    let alice = jwt::of_tenant(&app, "acme", "rules:read");
    let event = event_body("backup_failed", "high", r#"{"file":"a","n":1}"#);
    let under_way = app.post("/events", &key, event.clone()).await.is(200);
    let (execution, delivery) = (under_way.text("execution_id"), app.playbooks.deliveries());
    let callback = delivery[0].callback_token.expose_secret().to_owned();
    app.get_as("/v1/rules", &alice).await.is(200);
    // Delivered once n8n answers again, whatever becomes of the tenant.
    app.playbooks.hold();
    let other = event_body("backup_failed", "high", r#"{"file":"b","n":1}"#);
    let queued = app.post("/events", &key, other).await.is(200);
    assert_eq!(queued.text("decision"), "playbook_queued");

    let disabled = app.switch("acme", "disable", ADMIN_KEY).await.is(200);
    assert_eq!(disabled.text("disabled_reason"), "unpaid");
    let at = disabled.text("disabled_at");
    let refused =
        |answer: Answer| answer.problem(403, "tenant-disabled", "tenant `acme` is disabled");
    refused(app.post("/events", &key, event.clone()).await);
    let batch = format!("[{event}]");
    refused(app.post("/v1/events/batch", &key, batch).await);
    for _ in 0..12 {
        refused(app.get_as("/v1/tenants/acme", &key).await);
        refused(app.get_as("/v1/rules", &alice).await);
    }
    // Right tokens are no failed logins.
    app.get_as("/v1/rules", "nonsense").await.is(401);
    let metrics = app.get("/metrics").await.is(200).text;
    let line = r#"neural_guard_logins_refused_total{reason="tenant_disabled"}"#;
    assert!(metrics.contains(line), "{metrics}");

    let path = |what: &str| format!("/v1/executions/{execution}/{what}");
    let run = r#"{"n8n_execution_id":1}"#;
    app.post(&path("start"), &callback, run).await.is(200);
    let result = r#"{"status":"succeeded"}"#;
    let ended = app.post(&path("result"), &callback, result).await.is(200);
    assert_eq!(ended.text("state"), "succeeded");
    app.playbooks.release();
    app.playbooks.wait_for(2).await;

    app.clock.advance(chrono::TimeDelta::seconds(1));
    let again = app.switch("acme", "disable", ADMIN_KEY).await.is(200);
    assert_eq!(again.text("disabled_at"), at, "it stays so since then");
    let enabled = app.switch("acme", "enable", ADMIN_KEY).await.is(200);
    assert_eq!(enabled.body["disabled_at"], Value::Null);
    app.switch("acme", "enable", ADMIN_KEY).await.is(200);
    app.get_as("/v1/rules", &key).await.is(200);
    app.get_as("/v1/rules", &alice).await.is(200);
    let acts = [
        "tenant_disabled: The tenant was disabled: unpaid",
        "tenant_enabled: The tenant was enabled: unpaid",
    ];
    assert_eq!(app.acts_on("acme").await, acts);
}

#[tokio::test]
async fn the_default_tenant_cannot_be_disabled() {
    let app = TestApp::start().await;
    let answer = app.switch("default", "disable", ADMIN_KEY).await;
    answer.problem(409, "conflict", "tenant `default` cannot be disabled");
    app.switch("default", "enable", ADMIN_KEY).await.is(200);
    app.get("/v1/rules").await.is(200);
}

#[tokio::test]
async fn a_token_of_a_tenant_that_nobody_created_is_refused() {
    let app = TestApp::with(RULES, &[("auth.jwt.secret", jwt::SECRET)]).await;
    let alice = jwt::of_tenant(&app, "acme", "admin");
    let refused = app.get_as("/v1/rules", &alice).await;
    refused.problem(403, "unknown-tenant", "can create it: POST /v1/tenants");
    let body = r#"{"label":"x","scopes":["admin"]}"#;
    let refused = app.post("/v1/keys", &alice, body).await;
    refused.problem(403, "unknown-tenant", "there is no tenant `acme`");
    app.tenant(&json!({"name": "acme"})).await.is(201);
    app.get_as("/v1/rules", &alice).await.is(200);
}

#[tokio::test]
async fn the_closest_limit_holds_at_once() {
    let settings = [
        ("rate_limit.requests", "2"),
        ("rate_limit.overrides", "loud:4, acme/near:6"),
    ];
    let app = TestApp::with(RULES, &settings).await;
    let (_, acme) = app.key("acme", &["events:write"]).await;
    let send = async |source: &str| {
        let event = event_body("anomaly_detected", "low", "{}").replace("sentinel", source);
        app.post("/events", &acme, event).await
    };
    let policy = async |source: &str| {
        let headers = send(source).await.headers;
        let policy = headers.get("ratelimit-policy");
        policy.map(|policy| policy.to_str().unwrap().to_owned())
    };
    let of = |requests: u32, window: u32| Some(format!(r#""normal";q={requests};w={window}"#));
    for (source, requests) in [("some", 2), ("loud", 4), ("near", 6)] {
        assert_eq!(policy(source).await, of(requests, 60));
    }
    let quota = |requests: u32, window: &str| json!({"requests": requests, "window": window});
    let limits = json!({"sources": {"loud": quota(9, "90s"), "some": null}});
    let limited = app.limit("acme", ADMIN_KEY, &limits).await.is(200);
    assert_eq!(limited.body["limits"], limits);
    assert_eq!(policy("loud").await, of(9, 90));
    assert_eq!(policy("some").await, None);
    assert_eq!(policy("near").await, of(6, 60), "as configured");
    assert_eq!(policy("other").await, of(2, 60));
    let limits = json!({"rate_limit": quota(1, "30s"), "sources": {"near": quota(7, "60s")}});
    app.limit("acme", ADMIN_KEY, &limits).await.is(200);
    assert_eq!(policy("near").await, of(7, 60));
    assert_eq!(
        policy("loud").await,
        of(1, 30),
        "the tenant's own before the configured one"
    );
    assert_eq!(policy("fresh").await, of(1, 30));
    send("fresh")
        .await
        .problem(429, "rate-limited", "1 normal events of 30s");
    // Another tenant has what is configured.
    let answer = app.event("anomaly_detected", "low", "{}").await.is(200);
    assert_eq!(answer.headers["ratelimit-policy"], r#""normal";q=2;w=60"#);
    let limits = json!({"rate_limit": null});
    let limited = app.limit("acme", ADMIN_KEY, &limits).await.is(200);
    assert_eq!(
        limited.body["limits"],
        json!({"rate_limit": null, "sources": {}})
    );
    assert_eq!(policy("fresh").await, None);
    let limited = app.limit("acme", ADMIN_KEY, &json!({})).await.is(200);
    assert_eq!(limited.body["limits"], json!({"sources": {}}));
    assert_eq!(policy("fresh").await, of(2, 60));
    let acts = app.acts_on("acme").await;
    assert_eq!(acts.len(), 4, "{acts:?}");
    assert_eq!(
        acts[3],
        "tenant_limited: The tenant has other limits: as configured"
    );
}
