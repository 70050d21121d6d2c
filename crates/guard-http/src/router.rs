//! The whole interface.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use crate::context::surround;
use crate::problem::Problem;
use crate::routes::{
    audit, batch, callbacks, escalations, events, executions, health, keys, pauses, playbooks,
    rules, tenants,
};
use crate::state::{Api, Shared};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Neural Guard",
        description = "Takes events in, decides about them by policy, has n8n run playbooks, and keeps the proof.\n\nEvery error is `application/problem+json` (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    modifiers(&SecuritySchemes),
    tags(
        (name = "events", description = "What happened, and what was decided"),
        (name = "executions", description = "Runs of playbooks"),
        (name = "callbacks", description = "What workflows report"),
        (name = "escalations", description = "Calls for a human"),
        (name = "rules", description = "What decides"),
        (name = "control", description = "Holding back and letting go on"),
        (name = "audit", description = "Who did what, and when"),
        (name = "identity", description = "Who may do what"),
        (name = "health", description = "How the server is doing"),
    )
)]
struct Document;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = |description: &str| {
            SecurityScheme::Http(
                HttpBuilder::new()
                    .scheme(HttpAuthScheme::Bearer)
                    .description(Some(description))
                    .build(),
            )
        };
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", scheme("An API key or a JWT"));
        components.add_security_scheme(
            "callback",
            scheme("The `callback_token` of a delivery; it is good for that execution alone"),
        );
    }
}

fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(events::router())
        .merge(batch::router())
        .merge(executions::router())
        .merge(callbacks::router())
        .merge(escalations::router())
        .merge(rules::router())
        .merge(pauses::router())
        .merge(playbooks::router())
        .merge(audit::router())
        .merge(keys::router())
        .merge(tenants::router())
        .merge(health::router())
}

/// The OpenAPI document of the interface.
#[must_use]
pub fn openapi() -> OpenApi {
    routes().split_for_parts().1
}

/// The whole interface.
pub fn router(api: Arc<Api>) -> Router {
    let (router, document) = routes().split_for_parts();
    router
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .with_state(api.clone())
        .merge(SwaggerUi::new("/docs").url("/openapi.json", document))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(api, surround))
}

/// The metrics alone, open to whoever reaches them: for a listener of their own.
pub fn metrics_router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/metrics", axum::routing::get(health::open_metrics))
        .fallback(unknown_path)
        .with_state(api.clone())
        .layer(from_fn_with_state(api, surround))
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at `{}`; see /docs", uri.path()))
}

async fn unknown_method() -> Problem {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let detail = "this path does not take this method; see /docs";
    Problem::new(status, "method-not-allowed", "Method not allowed", detail)
}

/// A handler that broke: the log has what happened, the answer does not.
#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
fn panicked(what: Box<dyn std::any::Any + Send>) -> Response {
    let text = what.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text
        .or_else(|| what.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!("a handler panicked: {text}");
    Problem::internal().into_response()
}
