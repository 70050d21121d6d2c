//! Events.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use guard_app::Submission;
use guard_app::ports::EventFilter;
use guard_domain::{DecisionKind, EventId, EventType, MAX_BODY_BYTES, Source};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{moment, page, value};
use crate::auth::{Caller, EventsWrite, ExecutionsRead};
use crate::body::{JsonBytes, Params, PathId};
use crate::context::RequestContext;
use crate::problem::Problem;
use crate::rate;
use crate::state::Shared;
use crate::wire::{EventAnswer, EventDocument, List};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(post_event))
        .routes(routes!(list_events, post_event_v1))
        .routes(routes!(get_event))
}

/// Take an event in.
///
/// When this answers 200, the event and what was decided about it are durable. `RateLimit-Policy` and `RateLimit` say how many
/// more events the source may send. `/v1/events` is the same.
#[utoipa::path(
    post,
    path = "/events",
    tag = "events",
    params(("Idempotency-Key" = Option<String>, Header,
        description = "The sender's key for this event, at most 255 characters, bare or in quotes (RFC 8941): repeating the request with it has no further effect for 24 hours")),
    request_body(content = Object, description = "An event: `event_type`, `severity`, `source`, `timestamp`, `context`, and optionally `id`",
        example = json!({"event_type": "backup_failed", "severity": "high", "source": "sentinel",
            "timestamp": "2026-11-20T03:01:00.123456", "context": {"error": "Connection timeout", "retry_count": 0}})),
    responses(
        (status = 200, body = EventAnswer, description = "Decided and durable"),
        (status = 400, body = Problem, description = "Malformed JSON"),
        (status = 401, body = Problem, description = "No valid bearer token"),
        (status = 403, body = Problem, description = "The token lacks a scope"),
        (status = 413, body = Problem, description = "More than 128 KiB"),
        (status = 415, body = Problem, description = "Not JSON"),
        (status = 422, body = Problem, description = "Not an event: every wrong field is named"),
        (status = 429, body = Problem, description = "The source has sent too many events: `Retry-After`, `RateLimit-Policy` and `RateLimit` say when to come again"),
        (status = 503, body = Problem, description = "Not recorded, or unknown whether it was: try again with the same key"),
    ),
    security(("bearer" = ["events:write"])),
)]
async fn post_event(
    State(api): State<Shared>,
    caller: Caller<EventsWrite>,
    context: RequestContext,
    SentKey(key): SentKey,
    JsonBytes(body): JsonBytes<MAX_BODY_BYTES>,
) -> Result<Response, Problem> {
    let submission = Submission {
        body: body.into(),
        key,
        origin: context.origin(&caller.principal.subject),
    };
    let answer = api.intake.receive(&caller.principal, submission).await?;
    let mut response = Json(EventAnswer::from(&answer)).into_response();
    let headers = response.headers_mut();
    rate::say(headers, &answer.rate.iter().copied());
    if answer.replayed {
        headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Take an event in; the same as `POST /events`.
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "events",
    params(("Idempotency-Key" = Option<String>, Header, description = "As for `POST /events`")),
    request_body(content = Object, description = "As for `POST /events`"),
    responses(
        (status = 200, body = EventAnswer, description = "Decided and durable"),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
        (status = 429, body = Problem),
        (status = 503, body = Problem),
    ),
    security(("bearer" = ["events:write"])),
)]
async fn post_event_v1(
    state: State<Shared>,
    caller: Caller<EventsWrite>,
    context: RequestContext,
    key: SentKey,
    body: JsonBytes<MAX_BODY_BYTES>,
) -> Result<Response, Problem> {
    post_event(state, caller, context, key, body).await
}

/// The key that a request has in its header.
struct SentKey(Option<String>);

impl FromRequestParts<Shared> for SentKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        idempotency_key(&parts.headers).map(Self)
    }
}

/// The key of the header: a string of the structured fields of RFC 8941, or the bare text, which begins with no quote.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let wrong = |what| Problem::invalid_field("", format!("the header `Idempotency-Key` {what}"));
    let printable = |text: &&str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let text = value.to_str().ok().map(str::trim).filter(printable);
    let text = text.ok_or_else(|| wrong("holds other characters than printable ASCII"))?;
    match text.strip_prefix('"') {
        None => Ok(Some(text.to_owned())),
        Some(rest) => unquoted(rest).map(Some).ok_or_else(|| {
            wrong(
                "begins with a quote: then another one ends it, and one inside it, as a backslash, has a backslash before it",
            )
        }),
    }
}

/// What a string of RFC 8941 (section 3.3.3) holds, of the text after its first quote.
fn unquoted(rest: &str) -> Option<String> {
    let mut key = String::with_capacity(rest.len());
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(key),
            '\\' => key.push(
                characters
                    .next()
                    .filter(|next| matches!(next, '"' | '\\'))?,
            ),
            other => key.push(other),
        }
    }
}

/// Read an event, what was decided about it, and what followed.
#[utoipa::path(
    get,
    path = "/v1/events/{id}",
    tag = "events",
    params(("id" = uuid::Uuid, Path, description = "The event's id")),
    responses(
        (status = 200, body = EventDocument),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
    ),
    security(("bearer" = ["executions:read"])),
)]
async fn get_event(
    State(api): State<Shared>,
    caller: Caller<ExecutionsRead>,
    PathId(id): PathId,
) -> Result<Json<EventDocument>, Problem> {
    let found = api
        .queries
        .event(&caller.principal.tenant, EventId::from_uuid(id))
        .await?;
    let record = found.ok_or_else(|| Problem::not_found("there is no such event"))?;
    Ok(Json(record.into()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// Only of this source.
    source: Option<String>,
    /// Only of this type.
    event_type: Option<String>,
    /// Only with this decision.
    decision: Option<String>,
    /// Received at or after this moment; 24 hours ago if not given.
    since: Option<String>,
    /// Received before this moment.
    until: Option<String>,
    /// How many at most: 1 to 500, 50 if not given.
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// List events, newest first.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    params(EventQuery),
    responses(
        (status = 200, body = List<EventDocument>),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["executions:read"])),
)]
async fn list_events(
    State(api): State<Shared>,
    caller: Caller<ExecutionsRead>,
    Params(query): Params<EventQuery>,
) -> Result<Json<List<EventDocument>>, Problem> {
    let spelled = |text: &str| EventType::parse(text).ok_or("this cannot be an event type");
    let filter = EventFilter {
        source: value("source", query.source.as_deref(), Source::parse)?,
        event_type: value("event_type", query.event_type.as_deref(), spelled)?,
        decision: value("decision", query.decision.as_deref(), DecisionKind::parse)?,
        since: moment("since", query.since.as_deref())?,
        until: moment("until", query.until.as_deref())?,
    };
    let page = page(query.limit, query.cursor);
    let found = api
        .queries
        .events(&caller.principal.tenant, filter, &page)
        .await?;
    Ok(Json(List::of(found, EventDocument::from)))
}
