//! What workflows report.

use axum::Json;
use axum::extract::State;
use guard_app::ports::WorkflowResult;
use guard_domain::ExecutionId;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{Object, ObjectBuilder, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::BearerToken;
use crate::body::{JsonBody, PathId};
use crate::context::RequestContext;
use crate::problem::Problem;
use crate::state::Shared;
use crate::wire::{CallbackAnswer, MAX_WHOLE, whole};

/// The longest message of a workflow that is kept, in characters.
const MAX_MESSAGE: usize = 8 * 1024;
/// The longest id of a run, in characters.
const MAX_RUN_ID: usize = 255;

pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(start_execution))
        .routes(routes!(finish_execution))
}

/// What a workflow says at its start.
#[derive(Debug, Deserialize, ToSchema)]
struct StartBody {
    /// n8n's own id of the run: a string or a number.
    #[schema(schema_with = run_id)]
    n8n_execution_id: RunId,
}

/// How a run's id is described.
fn run_id() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Integer]))
        .min_length(Some(1))
        .max_length(Some(MAX_RUN_ID))
        .pattern(Some("^[^\\u0000]+$"))
        .minimum(Some(0))
        .maximum(Some(MAX_WHOLE))
        .description(Some("n8n's own id of the run: a string or a number."))
        .examples(["231"])
        .build()
}

#[derive(Debug)]
struct RunId(String);

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            Value::Number(number) => {
                let whole = whole(&number).map(|number| number.to_string());
                whole.ok_or_else(|| D::Error::custom("a string or a whole number is expected"))?
            }
            _ => return Err(D::Error::custom("a string or a whole number is expected")),
        };
        let length = text.chars().count();
        if (1..=MAX_RUN_ID).contains(&length) && !text.contains('\0') {
            Ok(Self(text))
        } else {
            Err(D::Error::custom(format!(
                "an id has 1 to {MAX_RUN_ID} characters and no NUL"
            )))
        }
    }
}

/// A workflow begins. Answered 200 the first time, and again for the same run; any other answer tells it to stop.
#[utoipa::path(
    post,
    path = "/v1/executions/{id}/start",
    tag = "callbacks",
    params(("id" = uuid::Uuid, Path, description = "The execution's id")),
    request_body = StartBody,
    responses(
        (status = 200, body = CallbackAnswer, description = "Go on"),
        (status = 400, body = Problem),
        (status = 401, body = Problem, description = "The callback token is not valid for this execution"),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "Stop: another run has started, or the execution is over"),
        (status = 422, body = Problem),
    ),
    security(("callback" = [])),
)]
async fn start_execution(
    State(api): State<Shared>,
    BearerToken(token): BearerToken,
    context: RequestContext,
    PathId(id): PathId,
    JsonBody(body): JsonBody<StartBody>,
) -> Result<Json<CallbackAnswer>, Problem> {
    let (run, request) = (body.n8n_execution_id.0, context.id.to_string());
    let execution = api
        .callbacks
        .start(&token, ExecutionId::from_uuid(id), &run, &request)
        .await?;
    Ok(Json(execution.into()))
}

/// What a workflow says at its end.
#[derive(Debug, Deserialize, ToSchema)]
struct ResultBody {
    /// `succeeded` or `failed`.
    status: ResultStatus,
    /// What a human should know.
    message: Option<String>,
    /// Anything that is worth keeping.
    #[schema(value_type = Option<Object>)]
    data: Option<Box<RawValue>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ResultStatus {
    Succeeded,
    Failed,
}

/// A workflow ends. Repeats are answered 200 and change nothing.
#[utoipa::path(
    post,
    path = "/v1/executions/{id}/result",
    tag = "callbacks",
    params(("id" = uuid::Uuid, Path, description = "The execution's id")),
    request_body = ResultBody,
    responses(
        (status = 200, body = CallbackAnswer),
        (status = 400, body = Problem),
        (status = 401, body = Problem, description = "The callback token is not valid for this execution"),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "The execution ended in a way that no result can change"),
        (status = 422, body = Problem),
    ),
    security(("callback" = [])),
)]
async fn finish_execution(
    State(api): State<Shared>,
    BearerToken(token): BearerToken,
    context: RequestContext,
    PathId(id): PathId,
    JsonBody(body): JsonBody<ResultBody>,
) -> Result<Json<CallbackAnswer>, Problem> {
    let result = WorkflowResult {
        succeeded: body.status == ResultStatus::Succeeded,
        message: body.message.map(|text| {
            text.chars()
                .take(MAX_MESSAGE)
                .map(|c| if c == '\0' { '\u{fffd}' } else { c })
                .collect()
        }),
        data: body.data.map(|data| data.get().to_owned()),
    };
    let execution = api
        .callbacks
        .finish(
            &token,
            ExecutionId::from_uuid(id),
            &result,
            &context.id.to_string(),
        )
        .await?;
    Ok(Json(execution.into()))
}
