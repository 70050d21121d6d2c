//! A stand-in for n8n that counts what reaches it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;

/// What reached the stand-in: for each execution the number of deliveries, and the bodies.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) deliveries: HashMap<String, usize>,
    pub(crate) bodies: Vec<(String, HeaderMap, Value)>,
}

pub(crate) struct FakeN8n {
    pub(crate) url: String,
    pub(crate) seen: Arc<Mutex<Seen>>,
}

impl FakeN8n {
    /// A stand-in that answers after `delay`.
    pub(crate) async fn start(delay: Duration) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let router = Router::new()
            .route("/webhook/failsafe/{playbook}", post(webhook))
            .with_state((seen.clone(), delay));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (settings, stop) = Default::default();
        tokio::spawn(guard_http::serve(listener, router, settings, stop));
        Self { url, seen }
    }
}

async fn webhook(
    State((seen, delay)): State<(Arc<Mutex<Seen>>, Duration)>,
    Path(playbook): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Json<Value> {
    tokio::time::sleep(delay).await;
    let id = body["neural_guard"]["execution_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut seen = seen.lock().unwrap();
    *seen.deliveries.entry(id).or_default() += 1;
    seen.bodies.push((playbook, headers, body));
    Json(serde_json::json!({"message": "Workflow was started"}))
}
