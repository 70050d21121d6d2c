//! Errors as problem details (RFC 9457).

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use guard_app::ports::{AuthError, StorageError};
use guard_app::{CallbackError, CommitError, IntakeError, OperateError, PreviewError, QueryError};
use guard_domain::{EventError, FieldError};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// The media type of problems.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What is wrong with a request, or with the server.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// The kind of problem: `/problems/` and a slug.
    #[serde(rename = "type")]
    #[schema(example = "/problems/validation")]
    kind: String,
    /// The kind in words.
    title: &'static str,
    /// The HTTP status.
    #[schema(value_type = u16, example = 422)]
    #[serde(serialize_with = "status_code")]
    status: StatusCode,
    /// What happened, and what to do.
    detail: String,
    /// This occurrence: `urn:uuid:` and the id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// Every field that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<WrongField>,
    #[serde(skip)]
    retry_after: Option<u32>,
}

/// A field that is wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct WrongField {
    /// Where: a JSON pointer (RFC 6901).
    #[schema(example = "/event_type")]
    pointer: String,
    /// What is wrong, and what would be right.
    detail: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn status_code<S: serde::Serializer>(
    status: &StatusCode,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem of a kind.
    pub(crate) fn new(
        status: StatusCode,
        slug: &str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind: format!("/problems/{slug}"),
            title,
            status,
            detail: detail.into(),
            instance: None,
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// A problem that only its status tells of.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        let slug = title.to_ascii_lowercase().replace(' ', "-");
        Self::new(status, &slug, title, title)
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed-json",
            "Malformed JSON",
            detail,
        )
    }

    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "Unauthorized",
            detail,
        )
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden", detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "Conflict", detail)
    }

    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "Too large",
            detail,
        )
    }

    /// A request that is well-formed and wrong.
    pub(crate) fn invalid(errors: impl IntoIterator<Item = FieldError>) -> Self {
        let errors: Vec<_> = errors
            .into_iter()
            .map(|error| WrongField {
                pointer: error.pointer,
                detail: error.detail,
            })
            .collect();
        let detail = match errors.as_slice() {
            [only] if only.pointer.is_empty() => only.detail.clone(),
            [only] => format!("{}: {}", only.pointer, only.detail),
            several => format!("{} fields are wrong", several.len()),
        };
        let (status, title) = (StatusCode::UNPROCESSABLE_ENTITY, "Validation failed");
        Self {
            errors,
            ..Self::new(status, "validation", title, detail)
        }
    }

    /// As [`Problem::invalid`], of one field.
    pub(crate) fn invalid_field(pointer: &str, detail: impl Into<String>) -> Self {
        Self::invalid([FieldError::new(pointer, detail)])
    }

    /// The same problem, its pointers below another one.
    pub(crate) fn below(mut self, pointer: &str) -> Self {
        for error in &mut self.errors {
            error.pointer.insert_str(0, pointer);
        }
        self
    }

    /// Something that is ours to repair.
    pub(crate) fn internal() -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        let detail = "something broke on our side; the log has the details under this request's id";
        Self::new(status, "internal", "Internal error", detail)
    }

    fn unavailable(slug: &str, detail: impl Into<String>, retry_after: u32) -> Self {
        let (status, title) = (StatusCode::SERVICE_UNAVAILABLE, "Service unavailable");
        Self {
            retry_after: Some(retry_after),
            ..Self::new(status, slug, title, detail)
        }
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// Names the request.
    pub(crate) fn of_request(mut self, id: Uuid) -> Self {
        self.instance = Some(format!("urn:uuid:{id}"));
        self
    }

    /// The response, body included.
    pub(crate) fn render(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Only the outermost layer knows the request's id: it renders what is left for it here.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the database failed a request"
        );
        match error {
            StorageError::Inconsistent { .. } => Self::internal(),
            StorageError::Unavailable(_) | StorageError::OutcomeUnknown(_) => Self::unavailable(
                "database-unavailable",
                "the database is unavailable, try again later",
                2,
            ),
        }
    }
}

impl From<CommitError> for Problem {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Overloaded => Self::unavailable(
                "overloaded",
                format!("{error}; nothing was recorded, try again"),
                1,
            ),
            CommitError::Unavailable => Self::unavailable(
                "database-unavailable",
                format!("{error}; nothing was recorded, try again"),
                2,
            ),
            CommitError::Stopping => Self::unavailable(
                "stopping",
                format!("{error}; nothing was recorded, try again"),
                1,
            ),
            CommitError::OutcomeUnknown => Self::unavailable(
                "outcome-unknown",
                format!("{error}: outcome unknown, retry with the same key"),
                1,
            ),
        }
    }
}

impl From<EventError> for Problem {
    fn from(error: EventError) -> Self {
        match error {
            EventError::Malformed(_) => Self::malformed(error.to_string()),
            EventError::Invalid(errors) => Self::invalid(errors),
        }
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Event(error) => error.into(),
            IntakeError::Commit(error) => error.into(),
            IntakeError::TwoKeys => Self::invalid_field("/id", error.to_string()),
            IntakeError::BadKey | IntakeError::Rejected(_) => {
                Self::invalid_field("", error.to_string())
            }
            IntakeError::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "Idempotency key reused",
                error.to_string(),
            ),
        }
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused => Self::unauthorized("the bearer token is not valid"),
            AuthError::Unavailable(error) => error.into(),
        }
    }
}

impl From<CallbackError> for Problem {
    fn from(error: CallbackError) -> Self {
        match error {
            CallbackError::Unauthorized => Self::unauthorized(error.to_string()),
            CallbackError::NotFound => Self::not_found(error.to_string()),
            CallbackError::Conflict(_) => Self::conflict(error.to_string()),
            CallbackError::Storage(error) => error.into(),
        }
    }
}

impl From<OperateError> for Problem {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::NotFound => Self::not_found(error.to_string()),
            OperateError::Refused { .. } | OperateError::Redriven(_) => {
                Self::conflict(error.to_string())
            }
            OperateError::UnknownScope { .. } => Self::invalid_field("/scope", error.to_string()),
            OperateError::Scope(error) => Self::invalid_field("/scope", error.to_string()),
            OperateError::Storage(error) => error.into(),
        }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Limit => Self::invalid_field("/limit", error.to_string()),
            QueryError::Cursor => Self::invalid_field("/cursor", error.to_string()),
            QueryError::Storage(error) => error.into(),
        }
    }
}

impl From<PreviewError> for Problem {
    fn from(error: PreviewError) -> Self {
        match error {
            PreviewError::Event(error) => Self::invalid_field("/event", error.to_string()),
            PreviewError::Rules(error) => Self::invalid(error.diagnostics.iter().map(|wrong| {
                let rule = wrong.rule.as_deref().map(|id| format!("rule `{id}`: "));
                FieldError::new(
                    "/rules",
                    format!(
                        "{}{} (line {}, column {} of the rules)",
                        rule.unwrap_or_default(),
                        wrong.detail,
                        wrong.place.line,
                        wrong.place.column
                    ),
                )
            })),
        }
    }
}
