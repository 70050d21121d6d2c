//! Tenants.

use axum::Json;
use axum::extract::{Path, State};
use guard_app::TenantOrder;
use http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Admin, Caller};
use crate::body::{JsonBody, Params};
use crate::context::RequestContext;
use crate::problem::Problem;
use crate::routes::page;
use crate::state::Shared;
use crate::wire::{LimitsBody, List, TenantBody};

pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_tenants, create_tenant))
        .routes(routes!(read_tenant))
        .routes(routes!(limit_tenant))
        .routes(routes!(disable_tenant))
        .routes(routes!(enable_tenant))
}

/// A tenant to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TenantRequest {
    /// Its name: 1 to 63 of `a-z`, `0-9` and `-`, beginning with a letter or digit.
    #[schema(example = "acme", pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    name: String,
    /// What to call it, in 1 to 100 characters.
    #[schema(
        example = "Acme Inc, Frankfurt",
        max_length = 100,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    label: Option<String>,
    /// How many events its sources may send: as the server's configuration says if not given.
    #[serde(default)]
    limits: LimitsBody,
}

/// Why something is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReasonBody {
    /// Why, in 1 to 1000 characters; it goes on record.
    #[serde(default)]
    #[schema(
        required,
        example = "the contract has ended",
        max_length = 1000,
        pattern = "^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$"
    )]
    reason: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct TenantListQuery {
    /// How many items, 1 to 500; 50 if not given.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Create a tenant. Only an administrator of tenant `default` may.
#[utoipa::path(
    post,
    path = "/v1/tenants",
    tag = "identity",
    request_body = TenantRequest,
    responses(
        (status = 201, body = TenantBody),
        (status = 200, body = TenantBody, description = "It is there already, just as it is wanted"),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 409, body = Problem, description = "It is there with another label or other limits"),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["admin"])),
)]
async fn create_tenant(
    State(api): State<Shared>,
    caller: Caller<Admin>,
    context: RequestContext,
    JsonBody(body): JsonBody<TenantRequest>,
) -> Result<(StatusCode, Json<TenantBody>), Problem> {
    let order = match body.limits.parse() {
        Ok(limits) => TenantOrder::parse(&body.name, body.label.as_deref(), limits),
        Err(mut wrong) => {
            for error in &mut wrong {
                error.pointer.insert_str(0, "/limits");
            }
            Err(wrong)
        }
    };
    let (principal, request) = (&caller.principal, context.id.to_string());
    let (tenant, created) = api.tenants.create(principal, &request, order).await?;
    let status = if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(tenant.into())))
}

/// List tenants by name, disabled ones too: all of them for an administrator of tenant `default`, else one's own.
#[utoipa::path(
    get,
    path = "/v1/tenants",
    tag = "identity",
    params(TenantListQuery),
    responses(
        (status = 200, body = List<TenantBody>),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["admin"])),
)]
async fn list_tenants(
    State(api): State<Shared>,
    caller: Caller<Admin>,
    Params(query): Params<TenantListQuery>,
) -> Result<Json<List<TenantBody>>, Problem> {
    let page = page(query.limit, query.cursor);
    let found = api.tenants.list(&caller.principal, &page).await?;
    Ok(Json(List::of(found, TenantBody::from)))
}

/// Read a tenant.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}",
    tag = "identity",
    params(("tenant" = String, Path, description = "Its name")),
    responses(
        (status = 200, body = TenantBody),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
    ),
    security(("bearer" = ["admin"])),
)]
async fn read_tenant(
    State(api): State<Shared>,
    caller: Caller<Admin>,
    Path(name): Path<String>,
) -> Result<Json<TenantBody>, Problem> {
    let tenant = api.tenants.read(&caller.principal, &name).await?;
    Ok(Json(tenant.into()))
}

/// Give a tenant limits in place of those it had: within five seconds every instance goes by them.
///
/// The closest limit holds: that of the source here, then `rate_limit` here, then what the server's configuration says.
#[utoipa::path(
    put,
    path = "/v1/tenants/{tenant}/limits",
    tag = "identity",
    params(("tenant" = String, Path, description = "Its name")),
    request_body = LimitsBody,
    responses(
        (status = 200, body = TenantBody),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["admin"])),
)]
async fn limit_tenant(
    State(api): State<Shared>,
    caller: Caller<Admin>,
    context: RequestContext,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<LimitsBody>,
) -> Result<Json<TenantBody>, Problem> {
    let (principal, request) = (&caller.principal, context.id.to_string());
    let limited = api
        .tenants
        .limit(principal, &request, &name, body.parse())
        .await?;
    Ok(Json(limited.into()))
}

/// Disable a tenant: within five seconds every instance refuses its tokens. What is under way goes on.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/disable",
    tag = "identity",
    params(("tenant" = String, Path, description = "Its name")),
    request_body = ReasonBody,
    responses(
        (status = 200, body = TenantBody, description = "It is disabled, since now or before"),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It is tenant `default`"),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["admin"])),
)]
async fn disable_tenant(
    State(api): State<Shared>,
    caller: Caller<Admin>,
    context: RequestContext,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<ReasonBody>,
) -> Result<Json<TenantBody>, Problem> {
    let (principal, request) = (&caller.principal, context.id.to_string());
    let disabled = api
        .tenants
        .disable(principal, &request, &name, &body.reason)
        .await?;
    Ok(Json(disabled.into()))
}

/// Enable a tenant: within five seconds every instance accepts its tokens again.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/enable",
    tag = "identity",
    params(("tenant" = String, Path, description = "Its name")),
    request_body = ReasonBody,
    responses(
        (status = 200, body = TenantBody, description = "It is not disabled"),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 422, body = Problem),
    ),
    security(("bearer" = ["admin"])),
)]
async fn enable_tenant(
    State(api): State<Shared>,
    caller: Caller<Admin>,
    context: RequestContext,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<ReasonBody>,
) -> Result<Json<TenantBody>, Problem> {
    let (principal, request) = (&caller.principal, context.id.to_string());
    let enabled = api
        .tenants
        .enable(principal, &request, &name, &body.reason)
        .await?;
    Ok(Json(enabled.into()))
}
