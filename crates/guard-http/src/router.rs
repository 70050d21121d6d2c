//! The whole interface.

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use guard_domain::EventTypes;
use http::{StatusCode, Uri};
use tower::Service;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use crate::context::surround;
use crate::openapi::complete;
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

/// The OpenAPI document of the interface, with the event types that every server knows.
#[must_use]
pub fn openapi() -> serde_json::Value {
    complete(&routes().split_for_parts().1, &EventTypes::default())
}

/// The whole interface.
pub fn interface(api: Arc<Api>) -> Interface {
    let (routes, document) = routes().split_for_parts();
    let document = complete(&document, &api.intake.settings.event_types);
    let docs = SwaggerUi::new("/docs").external_url_unchecked("/openapi.json", document);
    let router = finished(routes, &api).merge(docs);
    Interface { router, api }
}

/// The metrics alone, open to whoever reaches them: for a listener of their own.
pub fn metrics_interface(api: Arc<Api>) -> Interface {
    let metrics = axum::routing::get(health::open_metrics);
    let router = finished(Router::new().route("/metrics", metrics), &api);
    Interface { router, api }
}

/// Routes that say in the house's form what they do not have.
fn finished(routes: Router<Shared>, api: &Shared) -> Router {
    routes
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .with_state(api.clone())
}

/// Routes, and what surrounds whatever they answer.
///
/// No layer of the router does the latter: axum puts a layer round each route, makes another stack of services of it for each request,
/// and a box of each body.
#[derive(Clone)]
pub struct Interface {
    router: Router,
    api: Arc<Api>,
}

impl Interface {
    /// Answers a request, whatever becomes of its handler.
    async fn answer(mut self, request: Request) -> Response {
        let router = &mut self.router;
        let answer = async |request| whatever_happens(router.call(request)).await;
        surround(&self.api, request, answer).await
    }
}

impl Service<Request> for Interface {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Box::pin(self.clone().answer(request).map(Ok))
    }
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at `{}`; see /docs", uri.path()))
}

async fn unknown_method() -> Problem {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let detail = "this path does not take this method; see /docs";
    Problem::new(status, "method-not-allowed", "Method not allowed", detail)
}

/// The answer of a handler, or what there is to say if it breaks.
async fn whatever_happens(answer: impl Future<Output = Result<Response, Infallible>>) -> Response {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => response,
        Err(panic) => panicked(panic.as_ref()),
    }
}

/// A handler that broke: the log has what happened, the answer does not.
fn panicked(what: &(dyn Any + Send)) -> Response {
    let text = what.downcast_ref::<&str>().copied();
    let text = text
        .or_else(|| what.downcast_ref::<String>().map(String::as_str))
        .unwrap_or_default();
    tracing::error!("a handler panicked: {text}");
    Problem::internal().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_handler_that_breaks_is_answered_for() {
        let fine = whatever_happens(async { Ok("fine".into_response()) }).await;
        assert_eq!(fine.status(), StatusCode::OK);
        let broken = whatever_happens(async { panic!("a secret") }).await;
        assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let problem = broken.extensions().get::<Problem>().unwrap();
        assert!(!format!("{problem:?}").contains("secret"));
    }
}
