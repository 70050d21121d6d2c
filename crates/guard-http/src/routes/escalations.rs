//! Escalations.

use axum::Json;
use axum::extract::State;
use guard_app::ports::EscalationFilter;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{moment, page};
use crate::auth::{Caller, ExecutionsRead};
use crate::body::Params;
use crate::problem::Problem;
use crate::state::Shared;
use crate::wire::{EscalationBody, List};

pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list_escalations))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EscalationQuery {
    /// Raised at or after this moment; 24 hours ago if not given.
    since: Option<String>,
    /// Raised before this moment.
    until: Option<String>,
    /// How many at most: 1 to 500, 50 if not given.
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// List escalations, newest first.
#[utoipa::path(
    get,
    path = "/v1/escalations",
    tag = "escalations",
    params(EscalationQuery),
    responses(
        (status = 200, body = List<EscalationBody>),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["executions:read"])),
)]
async fn list_escalations(
    State(api): State<Shared>,
    caller: Caller<ExecutionsRead>,
    Params(query): Params<EscalationQuery>,
) -> Result<Json<List<EscalationBody>>, Problem> {
    let filter = EscalationFilter {
        since: moment("since", query.since.as_deref())?,
        until: moment("until", query.until.as_deref())?,
    };
    let page = page(query.limit, query.cursor);
    let found = api
        .queries
        .escalations(&caller.principal.tenant, filter, &page)
        .await?;
    Ok(Json(List::of(found, EscalationBody::from)))
}
