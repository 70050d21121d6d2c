//! The audit trail as a file.

use axum::body::Body;
use axum::extract::Request;
use guard_audit::{PublicKey, Verified, Verifier};
use guard_server::wiring::signing_key;
use guard_testkit::event_body;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::harness::{ADMIN_KEY, API_KEY, RULES, TestApp};

impl TestApp {
    fn public_key(&self) -> PublicKey {
        *signing_key(&self.settings).unwrap().public()
    }

    /// A server whose trail is signed at once.
    async fn signing() -> Self {
        Self::with(RULES, &[("audit.checkpoint_interval", "100ms")]).await
    }

    /// Waits until an export has this many checkpoints, and nothing that came after the last.
    async fn signed(&self, path: &str) -> (String, Verified) {
        for _ in 0..200 {
            let text = self.get(path).await.is(200).text;
            let (verified, findings) = verify(&text, self.public_key());
            assert_eq!(findings, [""; 0], "{text}");
            if verified.checkpoints > 0 && verified.unsigned_links == 0 {
                return (text, verified);
            }
            self.clock.advance(chrono::TimeDelta::seconds(1));
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("nothing is signed");
    }
}

/// What somebody finds who has the file and the public key.
fn verify(text: &str, key: PublicKey) -> (Verified, Vec<String>) {
    let mut verifier = Verifier::new(vec![key]);
    let mut findings = Vec::new();
    for line in text.lines() {
        verifier.text(line);
        let found = verifier.take_findings().into_iter();
        findings.extend(found.map(|finding| finding.to_string()));
    }
    let verified = verifier.finish();
    let found = verifier.take_findings().into_iter();
    findings.extend(found.map(|finding| finding.to_string()));
    (verified, findings)
}

#[tokio::test]
async fn what_is_downloaded_is_verified() {
    let app = TestApp::signing().await;
    let (_, acme) = app.key("acme", &["events:write", "audit:read"]).await;
    let event = event_body("user_offboarding", "low", r#"{"n":1}"#);
    for _ in 0..3 {
        app.post("/events", API_KEY, event.clone()).await.is(200);
    }
    app.post("/events", &acme, event).await.is(200);
    let (all, verified) = app.signed("/v1/audit/export?tenant=*").await;
    // Published rules, a key, four decisions.
    assert_eq!((verified.records, verified.bare), (6, 0), "{all}");
    let (_, verified) = app.signed("/v1/audit/export").await;
    assert_eq!((verified.records, verified.bare), (4, 2));
    let (of_acme, verified) = app.signed("/v1/audit/export?tenant=acme").await;
    assert_eq!((verified.records, verified.bare), (2, 4));
    let own = app.get_as("/v1/audit/export", &acme).await.is(200);
    assert_eq!(own.headers["content-type"], "application/x-ndjson");
    let (own, found) = verify(&own.text, app.public_key());
    assert_eq!((own.records, own.bare, found.len()), (2, 4, 0));
    let forged = of_acme.replacen("key:admin", "key:nobody", 1);
    assert_ne!(forged, of_acme);
    let (_, found) = verify(&forged, app.public_key());
    assert!(found[0].starts_with("changed_record"), "{found:?}");
}

#[tokio::test]
async fn records_go_out_as_events_of_a_time() {
    let app = TestApp::start().await;
    app.clock.advance(chrono::TimeDelta::seconds(60));
    app.event("user_offboarding", "low", "{}").await.is(200);
    let actions = async |query: &str| {
        let path = format!("/v1/audit/export?format=ocsf{query}");
        let text = app.get(&path).await.is(200).text;
        let lines = text.lines().map(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            assert_eq!(event["class_uid"], 6003);
            event["activity_name"].as_str().unwrap().to_owned()
        });
        let mut actions: Vec<_> = lines.collect();
        actions.sort();
        actions
    };
    assert_eq!(actions("").await, ["decision", "rules_published"]);
    let minute = "2026-11-20T03:01:00Z";
    assert_eq!(actions(&format!("&since={minute}")).await, ["decision"]);
    assert_eq!(
        actions(&format!("&until={minute}")).await,
        ["rules_published"]
    );
    assert_eq!(actions("&until=2026-11-20T03:00:00Z").await, [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_exported_is_refused() {
    let app = TestApp::start().await;
    app.get("/v1/audit/export?since=2026-11-20T03:00:00Z")
        .await
        .problem(
            422,
            "validation",
            "/since: a part of the audit trail cannot be verified",
        );
    app.get("/v1/audit/export?until=2026-11-20T03:00:00Z")
        .await
        .problem(422, "validation", "/until");
    app.get("/v1/audit/export?format=ocsf&since=yesterday")
        .await
        .problem(422, "validation", "RFC 3339");
    app.get("/v1/audit/export?format=xml")
        .await
        .problem(422, "validation", "`ndjson` or `ocsf`");
    for unknown in ["nobody", "No%20Slug"] {
        app.get(&format!("/v1/audit/export?tenant={unknown}"))
            .await
            .problem(404, "not-found", "no such tenant");
    }
    let (_, acme) = app.key("acme", &["admin"]).await;
    let (_, auditor) = app.key("default", &["audit:read"]).await;
    for (token, other) in [
        (&acme, "default"),
        (&acme, "*"),
        (&auditor, "acme"),
        (&auditor, "*"),
    ] {
        let path = format!("/v1/audit/export?tenant={other}");
        let refused = app.get_as(&path, token).await;
        refused.problem(403, "forbidden", "administrator of tenant `default`");
    }
    app.get_as("/v1/audit/export?tenant=acme", &acme)
        .await
        .is(200);
    app.get_as("/v1/audit/export?tenant=default", &auditor)
        .await
        .is(200);
}

#[tokio::test]
async fn an_export_that_breaks_off_is_seen_to_and_too_many_are_refused() {
    let app = TestApp::start().await;
    let event = event_body(
        "user_offboarding",
        "low",
        &json!({"text": "x".repeat(500)}).to_string(),
    );
    // Each is a link at least, and together they are more than the pieces that wait for a client.
    let batch = format!("[{}]", vec![event; 40].join(","));
    for _ in 0..25 {
        let path = "/v1/events/batch";
        app.post(path, API_KEY, batch.clone()).await.is(200);
    }
    let begin = async || {
        let request =
            Request::get("/v1/audit/export").header("authorization", format!("Bearer {ADMIN_KEY}"));
        let response = app
            .interface
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        (response.status().as_u16(), response.into_body())
    };
    let mut open = Vec::new();
    for _ in 0..4 {
        let (status, mut body) = begin().await;
        assert_eq!(status, 200);
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        open.push((first, body));
    }
    let busy = app.get("/v1/audit/export").await;
    assert_eq!(busy.headers["retry-after"], "30");
    busy.problem(503, "overloaded", "4 exports are under way");
    app.database
        .run("ALTER TABLE audit_links RENAME TO gone")
        .await;
    for (first, mut body) in open {
        let mut text = first.to_vec();
        let broken = loop {
            match body.frame().await {
                Some(Ok(frame)) => text.extend(frame.into_data().unwrap()),
                end => break end,
            }
        };
        assert!(
            broken.is_some_and(|end| end.is_err()),
            "it seems to have ended"
        );
        let (_, found) = verify(&String::from_utf8(text).unwrap(), app.public_key());
        assert!(
            found.iter().any(|found| found.starts_with("unreadable")),
            "{found:?}"
        );
    }
    // What fails before anything was sent is a problem, and the places are free again.
    app.get("/v1/audit/export")
        .await
        .problem(503, "database-unavailable", "");
    app.database
        .run("ALTER TABLE gone RENAME TO audit_links")
        .await;
    let whole = app.get("/v1/audit/export").await.is(200).text;
    let (verified, found) = verify(&whole, app.public_key());
    assert_eq!((verified.records, found.len()), (1001, 0));
}
