//! Pausing and resuming.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Caller, ExecutionsRead, ExecutionsWrite};
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::problem::Problem;
use crate::state::Shared;
use crate::wire::{List, PauseBody};

/// The longest reason, in characters.
const MAX_REASON: usize = 1000;

pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_pauses, pause))
        .routes(routes!(resume))
}

/// What to hold back or to let go on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ScopeBody {
    /// `all`, `rule:<id>` or `playbook:<name>`.
    #[schema(
        example = "playbook:intrusion-lockdown",
        pattern = "^(all|(rule|playbook):[a-z0-9][a-z0-9-]{0,62})$"
    )]
    scope: String,
    /// Why; it goes on record.
    #[schema(
        example = "maintenance until 6 a.m.",
        max_length = 1000,
        pattern = "^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$"
    )]
    reason: String,
}

impl ScopeBody {
    fn check(self) -> Result<Self, Problem> {
        let length = self.reason.trim().chars().count();
        if (1..=MAX_REASON).contains(&length) && !self.reason.contains('\0') {
            Ok(self)
        } else {
            let detail = format!("a reason has 1 to {MAX_REASON} characters");
            Err(Problem::invalid_field("/reason", detail))
        }
    }
}

/// List what is paused, why, and by whom.
#[utoipa::path(
    get,
    path = "/v1/pause",
    tag = "control",
    responses(
        (status = 200, body = List<PauseBody>),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
    ),
    security(("bearer" = ["executions:read"])),
)]
async fn list_pauses(
    State(api): State<Shared>,
    caller: Caller<ExecutionsRead>,
) -> Result<Json<List<PauseBody>>, Problem> {
    let paused = api.operator.pauses(&caller.principal).await?;
    Ok(Json(List {
        items: paused.into_iter().map(Into::into).collect(),
        next_cursor: None,
    }))
}

/// Hold a scope back: no decision of its rules acts, and no queued execution of it is delivered.
#[utoipa::path(
    post,
    path = "/v1/pause",
    tag = "control",
    request_body = ScopeBody,
    responses(
        (status = 200, body = List<PauseBody>, description = "What is paused now"),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem, description = "No live rule has that id or names that playbook"),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["executions:write"])),
)]
async fn pause(
    State(api): State<Shared>,
    caller: Caller<ExecutionsWrite>,
    context: RequestContext,
    JsonBody(body): JsonBody<ScopeBody>,
) -> Result<Json<List<PauseBody>>, Problem> {
    let (body, request) = (body.check()?, context.id.to_string());
    let paused = api
        .operator
        .pause(&caller.principal, &request, &body.scope, &body.reason)
        .await?;
    Ok(Json(List {
        items: paused.into_iter().map(Into::into).collect(),
        next_cursor: None,
    }))
}

/// Let a scope go on.
#[utoipa::path(
    post,
    path = "/v1/resume",
    tag = "control",
    request_body = ScopeBody,
    responses(
        (status = 200, body = List<PauseBody>, description = "What is still paused"),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["executions:write"])),
)]
async fn resume(
    State(api): State<Shared>,
    caller: Caller<ExecutionsWrite>,
    context: RequestContext,
    JsonBody(body): JsonBody<ScopeBody>,
) -> Result<Json<List<PauseBody>>, Problem> {
    let (body, request) = (body.check()?, context.id.to_string());
    let paused = api
        .operator
        .resume(&caller.principal, &request, &body.scope, &body.reason)
        .await?;
    Ok(Json(List {
        items: paused.into_iter().map(Into::into).collect(),
        next_cursor: None,
    }))
}
