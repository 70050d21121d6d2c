//! Playbooks.

use axum::Json;
use axum::extract::{Path, State};
use guard_app::RehearsalRequest;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Caller, ExecutionsWrite};
use crate::body::OptionalJsonBody;
use crate::context::RequestContext;
use crate::problem::Problem;
use crate::state::Shared;
use crate::wire::ExecutionBody;

pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(rehearse_playbook))
}

/// What to rehearse a playbook with. Everything may be left out, the body too.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RehearseBody {
    /// The event that it answers, as for `POST /events`; one is made up if not given.
    #[schema(value_type = Option<Object>)]
    event: Option<Box<RawValue>>,
    /// What to send; as the rule says if not given.
    #[schema(value_type = Option<Object>)]
    params: Option<Box<RawValue>>,
    /// The rule in whose place it is ordered; the first that names the playbook if not given.
    #[schema(example = "intrusion-lockdown", pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    rule_id: Option<String>,
}

/// Call a playbook's workflow with `dry_run`, so that it says what it would do, as an execution of its own.
///
/// A workflow that does not look at `neural_guard.dry_run` acts: those that come with the guard do look.
#[utoipa::path(
    post,
    path = "/v1/playbooks/{name}/rehearse",
    tag = "executions",
    params(("name" = String, Path, description = "A playbook that a live rule names")),
    request_body(content = Option<RehearseBody>, description = "May be left out"),
    responses(
        (status = 200, body = ExecutionBody, description = "The rehearsal"),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem, description = "No live rule names the playbook"),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["executions:write"])),
)]
async fn rehearse_playbook(
    State(api): State<Shared>,
    caller: Caller<ExecutionsWrite>,
    context: RequestContext,
    Path(name): Path<String>,
    OptionalJsonBody(body): OptionalJsonBody<RehearseBody>,
) -> Result<Json<ExecutionBody>, Problem> {
    let text = |value: Option<Box<RawValue>>| value.map(|value| value.get().to_owned());
    let request = RehearsalRequest {
        event: text(body.event),
        params: text(body.params),
        rule_id: body.rule_id,
    };
    let id = context.id.to_string();
    let execution = api
        .operator
        .rehearse(&caller.principal, &id, &name, &request)
        .await?;
    Ok(Json(execution.into()))
}
