//! API keys.

use axum::Json;
use axum::extract::{Path, State};
use guard_app::KeyOrder;
use http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Admin, Caller};
use crate::body::{JsonBody, Params};
use crate::context::RequestContext;
use crate::problem::Problem;
use crate::routes::{moment, page};
use crate::state::Shared;
use crate::wire::{IssuedKeyBody, KeyBody, List};

pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_keys, create_key))
        .routes(routes!(read_key))
        .routes(routes!(revoke_key))
}

/// What a key may do.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the words, which the use case reads")]
enum ScopeWord {
    #[schema(rename = "events:write")]
    EventsWrite,
    #[schema(rename = "rules:read")]
    RulesRead,
    #[schema(rename = "rules:write")]
    RulesWrite,
    #[schema(rename = "approvals:decide")]
    ApprovalsDecide,
    #[schema(rename = "executions:read")]
    ExecutionsRead,
    #[schema(rename = "executions:write")]
    ExecutionsWrite,
    #[schema(rename = "audit:read")]
    AuditRead,
    #[schema(rename = "admin")]
    Admin,
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyRequest {
    /// Its tenant: your own if not given. Only an administrator of tenant `default` may name another one.
    #[schema(example = "default", pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    tenant: Option<String>,
    /// What to call it, in 1 to 100 characters.
    #[schema(
        example = "Sentinel in Frankfurt",
        max_length = 100,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    label: String,
    /// What it may do.
    #[schema(example = json!(["events:write"]), min_items = 1, value_type = Vec<ScopeWord>)]
    scopes: Vec<String>,
    /// From when on it is refused, RFC 3339; never if not given.
    #[schema(example = "2027-02-20T00:00:00Z", format = DateTime)]
    expires_at: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct KeyListQuery {
    /// Whose keys: your own tenant's if not given.
    tenant: Option<String>,
    /// How many items, 1 to 500; 50 if not given.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct KeyQuery {
    /// Whose key: your own tenant's if not given.
    tenant: Option<String>,
}

/// Make a key. The answer has the key itself, which nobody can read again.
#[utoipa::path(
    post,
    path = "/v1/keys",
    tag = "identity",
    request_body = KeyRequest,
    responses(
        (status = 201, body = IssuedKeyBody),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["admin"])),
)]
async fn create_key(
    State(api): State<Shared>,
    caller: Caller<Admin>,
    context: RequestContext,
    JsonBody(body): JsonBody<KeyRequest>,
) -> Result<(StatusCode, Json<IssuedKeyBody>), Problem> {
    let expires_at = moment("expires_at", body.expires_at.as_deref())?;
    let order = KeyOrder::parse(&body.label, &body.scopes, expires_at, api.clock.now());
    let issued = api
        .keys
        .create(
            &caller.principal,
            &context.id.to_string(),
            body.tenant.as_deref(),
            order.map_err(Problem::invalid)?,
        )
        .await?;
    Ok((StatusCode::CREATED, Json(issued.into())))
}

/// List keys by id, revoked and expired ones too.
#[utoipa::path(
    get,
    path = "/v1/keys",
    tag = "identity",
    params(KeyListQuery),
    responses(
        (status = 200, body = List<KeyBody>),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["admin"])),
)]
async fn list_keys(
    State(api): State<Shared>,
    caller: Caller<Admin>,
    Params(query): Params<KeyListQuery>,
) -> Result<Json<List<KeyBody>>, Problem> {
    let page = page(query.limit, query.cursor);
    let found = api
        .keys
        .list(&caller.principal, query.tenant.as_deref(), &page)
        .await?;
    Ok(Json(List::of(found, KeyBody::from)))
}

/// Read a key; without its secret, which is not kept.
#[utoipa::path(
    get,
    path = "/v1/keys/{id}",
    tag = "identity",
    params(("id" = String, Path, description = "The id in the key: `ng_<id>_<secret>`"), KeyQuery),
    responses(
        (status = 200, body = KeyBody),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["admin"])),
)]
async fn read_key(
    State(api): State<Shared>,
    caller: Caller<Admin>,
    Path(id): Path<String>,
    Params(query): Params<KeyQuery>,
) -> Result<Json<KeyBody>, Problem> {
    let tenant = query.tenant.as_deref();
    let key = api.keys.read(&caller.principal, tenant, &id).await?;
    Ok(Json(key.into()))
}

/// Revoke a key: within five seconds it is refused by every instance. It stays in the list.
#[utoipa::path(
    post,
    path = "/v1/keys/{id}/revoke",
    tag = "identity",
    params(("id" = String, Path, description = "The id in the key: `ng_<id>_<secret>`"), KeyQuery),
    responses(
        (status = 200, body = KeyBody, description = "It is revoked, since now or before"),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["admin"])),
)]
async fn revoke_key(
    State(api): State<Shared>,
    caller: Caller<Admin>,
    context: RequestContext,
    Path(id): Path<String>,
    Params(query): Params<KeyQuery>,
) -> Result<Json<KeyBody>, Problem> {
    let (tenant, request) = (query.tenant.as_deref(), context.id.to_string());
    let key = api
        .keys
        .revoke(&caller.principal, &request, tenant, &id)
        .await?;
    Ok(Json(key.into()))
}
