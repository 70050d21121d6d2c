//! Nobody comes in without the scope that the document declares, and nobody sees what is another tenant's.

use axum::body::Body;
use guard_testkit::event_body;
use http::Method;
use serde_json::{Map, Value};

use super::harness::{ADMIN_KEY, TestApp};

const SCOPES: [&str; 7] = [
    "events:write",
    "rules:read",
    "rules:write",
    "approvals:decide",
    "executions:read",
    "executions:write",
    "audit:read",
];

/// A route of the document.
struct Route {
    method: Method,
    path: String,
    /// The scope that it declares, unless it is open or for callbacks.
    scope: Option<String>,
}

/// Every route of the document.
fn routes() -> Vec<Route> {
    let document = serde_json::to_value(guard_http::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let operations = |(path, operations): (&String, &Value)| {
        let operations: Map<_, _> = operations.as_object().unwrap().clone();
        let path = path.clone();
        operations
            .into_iter()
            .map(move |(method, operation)| Route {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                scope: operation["security"]
                    .as_array()
                    .expect("a route declares who may call it")
                    .iter()
                    .find_map(|way| way["bearer"][0].as_str().map(str::to_owned)),
            })
    };
    paths.iter().flat_map(operations).collect()
}

impl TestApp {
    async fn call(&self, route: &Route, path: &str, token: &str) -> super::harness::Answer {
        let body = match route.method {
            Method::GET => Body::empty(),
            _ => Body::from("{}"),
        };
        self.request(route.method.clone(), path, token, &[], body)
            .await
    }
}

#[tokio::test]
async fn every_route_asks_for_the_scope_that_it_declares() {
    let app = TestApp::start().await;
    let (_, none_but_admin) = app.key("default", &SCOPES).await;
    let mut asked = 0;
    for route in routes() {
        let Some(scope) = &route.scope else { continue };
        let path = ["{id}", "{name}", "{tenant}"]
            .iter()
            .fold(route.path.clone(), |path, name| path.replace(name, "1"));
        let named = format!("{} {path}", route.method);
        let others: Vec<_> = SCOPES.into_iter().filter(|other| other != scope).collect();
        let (_, all_others) = app.key("default", &others).await;
        let refused = app.call(&route, &path, &all_others).await;
        assert_eq!(refused.status, 403, "{named}: {}", refused.text);
        assert!(refused.text.contains(&format!("`{scope}`")), "{named}");
        let anonymous = app.call(&route, &path, "").await;
        assert_eq!(anonymous.status, 401, "{named}: {}", anonymous.text);
        let right = match scope.as_str() {
            "admin" => ADMIN_KEY,
            _ => &none_but_admin,
        };
        let let_in = app.call(&route, &path, right).await.status;
        assert!(let_in != 401 && let_in != 403, "{named}: {let_in}");
        asked += 1;
    }
    assert!(asked > 20, "{asked}");
}

/// What one tenant has.
struct Belongings {
    event: String,
    execution: String,
    key: String,
}

impl Belongings {
    /// The path of a route that names something of this tenant. A new route says here what it names.
    fn path_of(&self, route: &Route) -> String {
        let (kind, id) = match route.path.split('/').nth(2) {
            Some("events") => ("{id}", &self.event),
            Some("executions") => ("{id}", &self.execution),
            Some("keys") => ("{id}", &self.key),
            Some("rules") => ("{id}", &"acme-only".to_owned()),
            Some("playbooks") => ("{name}", &"acme-recovery".to_owned()),
            Some("tenants") => ("{tenant}", &"acme".to_owned()),
            _ => panic!("what does {} name?", route.path),
        };
        let path = route.path.replace(kind, id);
        assert!(!path.contains('{'), "what does {} name?", route.path);
        path
    }

    fn ids(&self) -> [&str; 6] {
        [
            "\"acme\"",
            &self.event,
            &self.execution,
            &self.key,
            "acme-only",
            "acme-recovery",
        ]
    }
}

const ACME: &str = "
rules:
  - id: acme-only
    event_type: backup_failed
    action: { trigger_playbook: { name: acme-recovery } }
  - id: acme-page
    event_type: health_check_failed
    action: { escalate: { to: default, message: 'acme is down' } }
";
const GLOBEX: &str = "rules: [{ id: globex-only, event_type: '*', action: ignore }]";

#[tokio::test]
async fn what_is_another_tenants_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    for (tenant, rules) in [("acme", ACME), ("globex", GLOBEX)] {
        std::fs::create_dir(folder.path().join(tenant)).unwrap();
        std::fs::write(folder.path().join(tenant).join("rules.yaml"), rules).unwrap();
    }
    std::fs::write(folder.path().join("rules.yaml"), super::harness::RULES).unwrap();
    let path = folder.path().to_str().unwrap();
    let settings = [
        ("rules.path", path),
        ("executor.ack_wait", "0"),
        ("n8n.max_in_flight", "1"),
    ];
    let app = TestApp::with(super::harness::RULES, &settings).await;
    let (key, owner) = app.key("acme", &["admin"]).await;
    let (_, stranger) = app.key("globex", &["admin"]).await;
    app.playbooks.hold();
    let event = |kind: &'static str, token: &str| {
        let body = event_body(kind, "high", r#"{"file":"a"}"#);
        let token = token.to_owned();
        let app = &app;
        async move { app.post("/events", &token, body).await.is(200) }
    };
    let happened = event("backup_failed", &owner).await;
    app.playbooks.wait_for(1).await;
    let escalated = event("health_check_failed", &owner).await;
    assert_eq!(escalated.text("decision"), "escalated");
    let acme = Belongings {
        event: happened.text("event_id"),
        execution: happened.text("execution_id"),
        key,
    };
    let mut walked = Vec::new();
    for route in routes() {
        let Some(_) = &route.scope else { continue };
        let named = format!("{} {}", route.method, route.path);
        if route.path.contains('{') {
            let path = acme.path_of(&route);
            let strange = app.call(&route, &path, &stranger).await;
            assert_eq!(strange.status, 404, "{named}: {}", strange.text);
            let own = app.call(&route, &path, &owner).await;
            let acts = route.method != Method::GET;
            // Its own administrator only looks.
            let looks_on = route.path.starts_with("/v1/tenants/");
            assert!(
                own.status == 200 || (acts && own.status == if looks_on { 403 } else { 409 }),
                "{named}: {} {}",
                own.status,
                own.text
            );
            walked.push(named);
        } else if route.method == Method::GET && route.path != "/metrics" {
            let strange = app.call(&route, &route.path, &stranger).await.is(200);
            for id in acme.ids() {
                assert!(!strange.text.contains(id), "{named}: {}", strange.text);
            }
            let own = app.call(&route, &route.path, &owner).await.is(200);
            if route.path == "/v1/audit/export" {
                assert!(own.text.contains(&acme.execution), "{named}: {}", own.text);
                continue;
            }
            let empty = own.body["items"].as_array().is_some_and(Vec::is_empty);
            assert!(!empty || route.path == "/v1/pause", "{named}: {}", own.text);
        }
    }
    assert!(walked.len() >= 9, "{walked:?}");
}
