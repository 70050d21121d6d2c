//! Executions.

use axum::Json;
use axum::extract::State;
use guard_app::ports::ExecutionFilter;
use guard_domain::{ExecutionId, ExecutionState, PlaybookName, RuleId};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{moment, page, value};
use crate::auth::{Caller, ExecutionsRead, ExecutionsWrite};
use crate::body::{Params, PathId};
use crate::context::RequestContext;
use crate::problem::Problem;
use crate::state::Shared;
use crate::wire::{ExecutionBody, ExecutionDetailBody, List};

pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_executions))
        .routes(routes!(get_execution))
        .routes(routes!(cancel_execution))
        .routes(routes!(redrive_execution))
        .routes(routes!(undo_execution))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ExecutionQuery {
    /// Only in this state.
    status: Option<String>,
    /// Only of this playbook.
    playbook: Option<String>,
    /// Only ordered by this rule.
    rule_id: Option<String>,
    /// Decided at or after this moment; 24 hours ago if not given.
    since: Option<String>,
    /// Decided before this moment.
    until: Option<String>,
    /// How many at most: 1 to 500, 50 if not given.
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// List executions, newest first.
#[utoipa::path(
    get,
    path = "/v1/executions",
    tag = "executions",
    params(ExecutionQuery),
    responses(
        (status = 200, body = List<ExecutionBody>),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["executions:read"])),
)]
async fn list_executions(
    State(api): State<Shared>,
    caller: Caller<ExecutionsRead>,
    Params(query): Params<ExecutionQuery>,
) -> Result<Json<List<ExecutionBody>>, Problem> {
    let filter = ExecutionFilter {
        state: value("status", query.status.as_deref(), ExecutionState::parse)?,
        playbook: value("playbook", query.playbook.as_deref(), PlaybookName::parse)?,
        rule_id: value("rule_id", query.rule_id.as_deref(), RuleId::parse)?,
        since: moment("since", query.since.as_deref())?,
        until: moment("until", query.until.as_deref())?,
    };
    let page = page(query.limit, query.cursor);
    let found = api
        .queries
        .executions(&caller.principal.tenant, filter, &page)
        .await?;
    Ok(Json(List::of(found, ExecutionBody::from)))
}

/// Read an execution with every attempt.
#[utoipa::path(
    get,
    path = "/v1/executions/{id}",
    tag = "executions",
    params(("id" = uuid::Uuid, Path, description = "The execution's id")),
    responses(
        (status = 200, body = ExecutionDetailBody),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
    ),
    security(("bearer" = ["executions:read"])),
)]
async fn get_execution(
    State(api): State<Shared>,
    caller: Caller<ExecutionsRead>,
    PathId(id): PathId,
) -> Result<Json<ExecutionDetailBody>, Problem> {
    let found = api
        .queries
        .execution(&caller.principal.tenant, ExecutionId::from_uuid(id))
        .await?;
    let detail = found.ok_or_else(|| Problem::not_found("there is no such execution"))?;
    Ok(Json(detail.into()))
}

/// Call off an execution that has not been delivered.
#[utoipa::path(
    post,
    path = "/v1/executions/{id}/cancel",
    tag = "executions",
    params(("id" = uuid::Uuid, Path, description = "The execution's id")),
    responses(
        (status = 200, body = ExecutionBody),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It is being delivered, was delivered or has ended"),
    ),
    security(("bearer" = ["executions:write"])),
)]
async fn cancel_execution(
    State(api): State<Shared>,
    caller: Caller<ExecutionsWrite>,
    context: RequestContext,
    PathId(id): PathId,
) -> Result<Json<ExecutionBody>, Problem> {
    let (request, id) = (context.id.to_string(), ExecutionId::from_uuid(id));
    let execution = api.operator.cancel(&caller.principal, &request, id).await?;
    Ok(Json(execution.into()))
}

/// Order an execution that has ended again, as a new one.
#[utoipa::path(
    post,
    path = "/v1/executions/{id}/redrive",
    tag = "executions",
    params(("id" = uuid::Uuid, Path, description = "The id of the execution that has ended")),
    responses(
        (status = 200, body = ExecutionBody, description = "The new execution"),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It has not ended, or has succeeded"),
    ),
    security(("bearer" = ["executions:write"])),
)]
async fn redrive_execution(
    State(api): State<Shared>,
    caller: Caller<ExecutionsWrite>,
    context: RequestContext,
    PathId(id): PathId,
) -> Result<Json<ExecutionBody>, Problem> {
    let (request, id) = (context.id.to_string(), ExecutionId::from_uuid(id));
    let execution = api
        .operator
        .redrive(&caller.principal, &request, id)
        .await?;
    Ok(Json(execution.into()))
}

/// Undo an execution that has ended, by the `rollback` playbook of its rule. Once that has succeeded, it is `rolled_back`.
#[utoipa::path(
    post,
    path = "/v1/executions/{id}/undo",
    tag = "executions",
    params(("id" = uuid::Uuid, Path, description = "The id of the execution that has ended")),
    responses(
        (status = 200, body = ExecutionBody, description = "The execution that undoes it"),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It has not ended, had no effect, is being undone, or nothing is known to undo it"),
    ),
    security(("bearer" = ["executions:write"])),
)]
async fn undo_execution(
    State(api): State<Shared>,
    caller: Caller<ExecutionsWrite>,
    context: RequestContext,
    PathId(id): PathId,
) -> Result<Json<ExecutionBody>, Problem> {
    let (request, id) = (context.id.to_string(), ExecutionId::from_uuid(id));
    let execution = api.operator.undo(&caller.principal, &request, id).await?;
    Ok(Json(execution.into()))
}
