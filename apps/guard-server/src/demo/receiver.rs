//! A stand-in for n8n: it takes webhooks as n8n does, and plays a workflow that reports its start and its result.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// How long a played workflow works.
const WORK: Duration = Duration::from_millis(150);

struct Receiver {
    authorization: String,
    client: Client,
    runs: AtomicU64,
}

/// Starts the stand-in. It ends with the process.
pub(super) async fn start(token: &str) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let receiver = Receiver {
        authorization: format!("Bearer {token}"),
        client: Client::builder().timeout(Duration::from_secs(5)).build()?,
        runs: AtomicU64::new(0),
    };
    let router = Router::new()
        .route("/webhook/failsafe/{playbook}", post(webhook))
        .route("/healthz", get(async || "ok"))
        .with_state(Arc::new(receiver));
    let stop = tokio_util::sync::CancellationToken::new();
    tokio::spawn(guard_http::serve(
        listener,
        router,
        guard_http::ServeSettings::default(),
        stop,
    ));
    Ok(address)
}

async fn webhook(
    State(receiver): State<Arc<Receiver>>,
    Path(playbook): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    let authorization = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    if authorization != Some(receiver.authorization.as_str()) {
        return Err(StatusCode::FORBIDDEN);
    }
    let run = receiver.runs.fetch_add(1, Ordering::Relaxed) + 1;
    tokio::spawn(async move {
        if let Err(error) = receiver.play(&playbook, run, &body).await {
            tracing::warn!("the played workflow {playbook} could not report: {error}");
        }
    });
    Ok(Json(json!({"message": "Workflow was started"})))
}

impl Receiver {
    async fn play(&self, playbook: &str, run: u64, body: &Value) -> anyhow::Result<()> {
        let text = |pointer: &str| {
            body.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (url, token) = (
            text("/neural_guard/callback_url"),
            text("/neural_guard/callback_token"),
        );
        let report = |what: &str, body: Value| {
            self.client
                .post(format!("{url}/{what}"))
                .bearer_auth(token)
                .json(&body)
                .send()
        };
        let start = report("start", json!({"n8n_execution_id": run.to_string()})).await?;
        // Anything but 200 tells a workflow to stop.
        if start.status() != StatusCode::OK {
            return Ok(());
        }
        tokio::time::sleep(WORK).await;
        let result = json!({
            "status": "succeeded",
            "message": format!("{playbook} played by the stand-in"),
            "data": {"run": run},
        });
        report("result", result).await?.error_for_status()?;
        Ok(())
    }
}
