//! Health, metrics, the document and its page.

use axum::body::Body;
use axum::extract::Request;
use guard_http::PeerAddress;
use http::Method;

use super::harness::{ADMIN_KEY, TestApp};

#[tokio::test]
async fn health_is_open_and_tells_what_depends_on_what() {
    let app = TestApp::start().await;
    app.request(Method::GET, "/health/live", "", &[], "")
        .await
        .is(200);
    app.request(Method::GET, "/health/ready", "", &[], "")
        .await
        .is(200);
    app.guard.health.probe_once().await;
    let health = app
        .request(Method::GET, "/health", "", &[], "")
        .await
        .is(200);
    insta::assert_json_snapshot!(health.body, { ".version" => "[version]", ".n8n.status" => "[probe]" }, @r#"
    {
      "breakers": [],
      "database": {
        "detail": null,
        "status": "up"
      },
      "instance": "test",
      "n8n": {
        "detail": null,
        "status": "[probe]"
      },
      "pauses": [],
      "playbooks": [
        {
          "detail": null,
          "name": "backup-recovery",
          "status": "present",
          "token": "unknown"
        }
      ],
      "rules": {
        "active": 4,
        "revision": 1
      },
      "status": "ok",
      "version": "[version]"
    }
    "#);
    app.guard.health.begin_stop();
    let stopping = app.request(Method::GET, "/health/ready", "", &[], "").await;
    assert_eq!(stopping.is(503).text("status"), "unavailable");
}

#[tokio::test]
async fn metrics_have_the_exact_names_and_are_open_on_the_machine_itself() {
    let app = TestApp::start().await;
    app.trigger("a").await;
    let from = |address: &str| {
        let mut request = Request::builder()
            .uri("/metrics")
            .body(Body::empty())
            .unwrap();
        request
            .extensions_mut()
            .insert(PeerAddress(address.parse().unwrap()));
        request
    };
    let metrics = app.send(from("127.0.0.1:5")).await.is(200);
    for line in [
        "neural_guard_events_received_total{event_type=\"backup_failed\"}",
        "neural_guard_playbooks_triggered_total{playbook=\"backup-recovery\"}",
        "neural_guard_event_processing_duration_seconds_bucket{le=\"0.0005\"}",
        "neural_guard_active_rules",
    ] {
        assert!(
            metrics.text.contains(line),
            "{line} is not in {}",
            metrics.text
        );
    }
    app.send(from("[::1]:5")).await.is(200);
    app.send(from("192.0.2.7:5"))
        .await
        .problem(401, "unauthorized", "Bearer");
    app.get("/metrics").await.is(200);
    app.request(Method::GET, "/metrics", "", &[], "")
        .await
        .is(401);
    assert!(!metrics.text.contains(ADMIN_KEY));
}

#[tokio::test]
async fn the_document_and_its_page_are_open() {
    let app = TestApp::start().await;
    let document = app
        .request(Method::GET, "/openapi.json", "", &[], "")
        .await
        .is(200);
    assert_eq!(document.text("openapi"), "3.1.0");
    assert!(document.body["paths"]["/events"]["post"].is_object());
    let page = app
        .request(Method::GET, "/docs/", "", &[], "")
        .await
        .is(200);
    assert!(page.text.contains("swagger-ui"));
}
