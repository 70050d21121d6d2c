//! Rules and evaluations.

use axum::Json;
use axum::extract::Path;
use axum::extract::State;
use guard_app::ports::LiveRules;
use guard_app::{MAX_PAGE, QueryError};
use guard_domain::Event;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::task::spawn_blocking;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Caller, RulesRead};
use crate::body::{JsonBytes, Params, from_json};
use crate::problem::Problem;
use crate::state::Shared;
use crate::wire::{EvaluationBody, RuleBody, RuleList};

/// The largest request to evaluate, rules included, in bytes.
const MAX_EVALUATE_BYTES: usize = 4 * 1024 * 1024;
const DEFAULT_PAGE: u32 = 50;

pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_rules))
        .routes(routes!(get_rule))
        .routes(routes!(evaluate))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RuleQuery {
    /// How many at most: 1 to 500, 50 if not given.
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

async fn live(api: &Shared, caller: &Caller<RulesRead>) -> Result<LiveRules, Problem> {
    let live = api.rules.store.live(&caller.principal.tenant).await?;
    Ok(live.unwrap_or(LiveRules {
        revision: 0,
        rules: Vec::new(),
    }))
}

/// List the live rules, in the order of their source.
#[utoipa::path(
    get,
    path = "/v1/rules",
    tag = "rules",
    params(RuleQuery),
    responses(
        (status = 200, body = RuleList),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["rules:read"])),
)]
async fn list_rules(
    State(api): State<Shared>,
    caller: Caller<RulesRead>,
    Params(query): Params<RuleQuery>,
) -> Result<Json<RuleList>, Problem> {
    let limit = query.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(QueryError::Limit.into());
    }
    let LiveRules { revision, rules } = live(&api, &caller).await?;
    // The id of the last rule of a page is its cursor.
    let start = match &query.cursor {
        None => 0,
        Some(cursor) => {
            let place = rules
                .iter()
                .position(|(rule, _)| rule.id.as_str() == cursor);
            place.ok_or(QueryError::Cursor)? + 1
        }
    };
    let (limit, count) = (limit as usize, rules.len());
    let page: Vec<_> = rules.into_iter().skip(start).take(limit).collect();
    let last = page.last().filter(|_| start + page.len() < count);
    let next_cursor = last.map(|(rule, _)| rule.id.to_string());
    let items = page
        .into_iter()
        .map(|rule| RuleBody::of(rule, revision))
        .collect();
    Ok(Json(RuleList {
        items,
        next_cursor,
        revision,
    }))
}

/// Read a live rule.
#[utoipa::path(
    get,
    path = "/v1/rules/{id}",
    tag = "rules",
    params(("id" = String, Path, description = "The rule's id")),
    responses(
        (status = 200, body = RuleBody),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
    ),
    security(("bearer" = ["rules:read"])),
)]
async fn get_rule(
    State(api): State<Shared>,
    caller: Caller<RulesRead>,
    Path(id): Path<String>,
) -> Result<Json<RuleBody>, Problem> {
    let LiveRules { revision, rules } = live(&api, &caller).await?;
    let found = rules.into_iter().find(|(rule, _)| rule.id.as_str() == id);
    let rule = found.ok_or_else(|| Problem::not_found("there is no live rule of this id"))?;
    Ok(Json(RuleBody::of(rule, revision)))
}

/// What to evaluate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EvaluateBody {
    /// An event, as for `POST /events`.
    #[schema(value_type = Object)]
    event: Box<RawValue>,
    /// Rules to evaluate it by instead of the live ones: a list, or a rule file as JSON.
    #[schema(value_type = Option<Vec<Object>>)]
    rules: Option<Box<RawValue>>,
}

/// Say what would be decided about an event, and why, as if nothing had happened before. Writes nothing.
#[utoipa::path(
    post,
    path = "/v1/evaluate",
    tag = "rules",
    request_body = EvaluateBody,
    responses(
        (status = 200, body = EvaluationBody),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 413, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["rules:read"])),
)]
async fn evaluate(
    State(api): State<Shared>,
    caller: Caller<RulesRead>,
    JsonBytes(bytes): JsonBytes<MAX_EVALUATE_BYTES>,
) -> Result<Json<EvaluationBody>, Problem> {
    let body: EvaluateBody = from_json(&bytes)?;
    let types = &api.intake.settings.event_types;
    let event = Event::parse(body.event.get().as_bytes(), types, api.clock.now())
        .map_err(|error| Problem::from(error).below("/event"))?;
    let rules = body.rules.map(|rules| {
        let text = rules.get();
        if text.starts_with('[') {
            format!("{{\"rules\":{text}}}")
        } else {
            text.to_owned()
        }
    });
    // Compiling somebody's rules may take a while: intakes must not wait for it.
    let (manager, tenant) = (api.rules.clone(), caller.principal.tenant);
    let turn = match &rules {
        Some(_) => Some(manager.preview_turn().await?),
        None => None,
    };
    let preview = spawn_blocking(move || {
        // Whoever asked may be gone: the turn ends with the work.
        let _turn = turn;
        manager.preview(&tenant, &event, rules.as_deref())
    });
    let preview = preview.await.map_err(|_| Problem::internal())??;
    Ok(Json(preview.into()))
}
