//! The audit trail.

mod export;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use guard_app::ports::{AuditFilter, AuditRecord};
use guard_app::{Page, QueryError};
use guard_domain::{EventId, RuleId};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{moment, page, value};
use crate::auth::{AuditRead, Caller};
use crate::body::Params;
use crate::problem::Problem;
use crate::state::Shared;
use crate::wire::{AuditRecordBody, List};

const NDJSON: &str = "application/x-ndjson";
const NEXT_CURSOR: HeaderName = HeaderName::from_static("next-cursor");

pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_audit))
        .routes(routes!(export::export_audit))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Walk oldest first from here: empty for the beginning, else the `next_cursor` of the page before. Goes with
    /// `limit` alone.
    after: Option<String>,
    /// Only about this event.
    event_id: Option<Uuid>,
    /// Only of this rule.
    rule_id: Option<String>,
    /// Recorded at or after this moment; 24 hours ago if not given.
    since: Option<String>,
    /// Recorded before this moment.
    until: Option<String>,
    /// How many at most: 1 to 500, 50 if not given.
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// List the audit trail: newest first, or with `after` oldest first.
///
/// With `Accept: application/x-ndjson` one record on each line, and the cursor in the header `Next-Cursor`.
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "audit",
    params(AuditQuery),
    responses(
        (status = 200, description = "A page",
            content((List<AuditRecordBody> = "application/json"), (String = "application/x-ndjson"))),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["audit:read"])),
)]
async fn list_audit(
    State(api): State<Shared>,
    caller: Caller<AuditRead>,
    headers: HeaderMap,
    Params(query): Params<AuditQuery>,
) -> Result<Response, Problem> {
    let tenant = &caller.principal.tenant;
    let found = match &query.after {
        Some(after) => {
            if query.is_filtered() {
                let detail = "`after` walks the whole trail: it goes with `limit` alone";
                return Err(Problem::invalid_field("/after", detail));
            }
            let found = api.queries.audit_after(tenant, after, query.limit).await;
            found.map_err(|error| match error {
                QueryError::Cursor => Problem::invalid_field("/after", error.to_string()),
                other => other.into(),
            })?
        }
        None => {
            let filter = AuditFilter {
                event_id: query.event_id.map(EventId::from_uuid),
                rule_id: value("rule_id", query.rule_id.as_deref(), RuleId::parse)?,
                since: moment("since", query.since.as_deref())?,
                until: moment("until", query.until.as_deref())?,
            };
            let page = page(query.limit, query.cursor);
            api.queries.audit(tenant, filter, &page).await?
        }
    };
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("ndjson")) {
        return Ok(ndjson(found));
    }
    Ok(Json(List::of(found, AuditRecordBody::from)).into_response())
}

impl AuditQuery {
    const fn is_filtered(&self) -> bool {
        self.event_id.is_some()
            || self.rule_id.is_some()
            || self.since.is_some()
            || self.until.is_some()
            || self.cursor.is_some()
    }
}

fn ndjson(page: Page<AuditRecord>) -> Response {
    let lines = page.items.into_iter().map(|record| {
        serde_json::to_string(&AuditRecordBody::from(record)).unwrap_or_default() + "\n"
    });
    let mut response = lines.collect::<String>().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    if let Some(cursor) = page
        .next_cursor
        .and_then(|text| HeaderValue::try_from(text).ok())
    {
        headers.insert(NEXT_CURSOR, cursor);
    }
    response
}
