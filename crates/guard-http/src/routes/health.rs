//! Health and metrics.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Caller, ExecutionsRead};
use crate::context::PeerAddress;
use crate::problem::Problem;
use crate::state::Shared;
use crate::wire::HealthBody;

/// The text format of Prometheus.
const METRICS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(metrics))
}

/// How the server and what it depends on are doing.
#[utoipa::path(
    get,
    path = "/health",
    tag = "health",
    responses(
        (status = 200, body = HealthBody),
        (status = 503, body = HealthBody, description = "It takes no events in"),
    ),
    security(()),
)]
async fn health(State(api): State<Shared>) -> Response {
    let report = api.health.report().await;
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(HealthBody::of(report, &api.instance))).into_response()
}

/// The process is there.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "health",
    responses((status = 200, description = "`{\"status\":\"ok\"}`")),
    security(()),
)]
async fn live() -> Response {
    Json(serde_json::json!({"status": "ok"})).into_response()
}

/// Events can be taken in: the database answers, rules are live, and the server is not stopping.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    responses(
        (status = 200, body = HealthBody),
        (status = 503, body = HealthBody, description = "It takes no events in"),
    ),
    security(()),
)]
async fn ready(state: State<Shared>) -> Response {
    health(state).await
}

/// The metrics, in the text format of Prometheus. Open to the machine itself; from elsewhere a token is needed.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
    ),
    security((), ("bearer" = ["executions:read"])),
)]
async fn metrics(
    State(api): State<Shared>,
    peer: Option<axum::Extension<PeerAddress>>,
    caller: Result<Caller<ExecutionsRead>, Problem>,
) -> Result<Response, Problem> {
    let local = peer.is_some_and(|axum::Extension(peer)| peer.0.ip().to_canonical().is_loopback());
    if !local {
        caller?;
    }
    Ok(render_metrics(&api))
}

/// The metrics, without asking who wants them: for a listener of their own.
pub(crate) async fn open_metrics(State(api): State<Shared>) -> Response {
    render_metrics(&api)
}

fn render_metrics(api: &Shared) -> Response {
    ([(CONTENT_TYPE, METRICS_TEXT)], api.metrics.render()).into_response()
}
