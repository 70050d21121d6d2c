//! Errors as problem details (RFC 9457).

mod convert;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use guard_app::RateStanding;
use guard_domain::FieldError;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::rate;

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
    retry_after: Option<u64>,
    #[serde(skip)]
    rate: Option<RateStanding>,
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
            rate: None,
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

    /// Too much at once: come back after some seconds.
    fn too_many(slug: &str, detail: impl Into<String>, retry_after: u64) -> Self {
        let (status, title) = (StatusCode::TOO_MANY_REQUESTS, "Too many requests");
        Self {
            retry_after: Some(retry_after),
            ..Self::new(status, slug, title, detail)
        }
    }

    fn unavailable(slug: &str, detail: impl Into<String>, retry_after: u64) -> Self {
        let (status, title) = (StatusCode::SERVICE_UNAVAILABLE, "Service unavailable");
        Self {
            retry_after: Some(retry_after),
            ..Self::new(status, slug, title, detail)
        }
    }

    /// A source has sent too many events.
    fn rate_limited(why: &str, standing: RateStanding) -> Self {
        let seconds = rate::seconds(standing.grant.retry_after);
        let detail = format!("{why}; try again in {seconds} s");
        let (status, title) = (StatusCode::TOO_MANY_REQUESTS, "Too many requests");
        Self {
            retry_after: Some(seconds),
            rate: Some(standing),
            ..Self::new(status, "rate-limited", title, detail)
        }
    }

    /// How the source stands that has sent too many events.
    pub(crate) const fn rate(&self) -> Option<RateStanding> {
        self.rate
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
        rate::say(headers, &self.rate.iter().copied());
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
