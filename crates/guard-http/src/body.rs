//! Bodies, queries and ids, with errors in the house's form.

use std::time::Duration;

use axum::body::HttpBody;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use guard_domain::find_lone_surrogate;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use uuid::Uuid;

use crate::problem::Problem;
use crate::state::Shared;

/// How many times the bound a body is that is refused unread.
const FAR_TOO_LARGE: usize = 8;

/// What a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Ndjson,
}

/// The bytes of a JSON body of at most `MAX` bytes.
pub(crate) struct JsonBytes<const MAX: usize>(pub(crate) Bytes);

impl<const MAX: usize> FromRequest<Shared> for JsonBytes<MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Shared) -> Result<Self, Problem> {
        if format(request.headers())? != Format::Json {
            return Err(unsupported("application/json"));
        }
        read(request, MAX, api.body_timeout).await.map(Self)
    }
}

/// The bytes of a JSON or NDJSON body of at most `MAX` bytes.
pub(crate) struct BatchBytes<const MAX: usize>(pub(crate) Format, pub(crate) Bytes);

impl<const MAX: usize> FromRequest<Shared> for BatchBytes<MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Shared) -> Result<Self, Problem> {
        let format = format(request.headers())?;
        Ok(Self(format, read(request, MAX, api.body_timeout).await?))
    }
}

/// A small JSON body.
pub(crate) struct JsonBody<T>(pub(crate) T);

/// The largest small body, in bytes.
const SMALL: usize = 128 * 1024;

impl<T: DeserializeOwned> FromRequest<Shared> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Shared) -> Result<Self, Problem> {
        let JsonBytes(bytes) = JsonBytes::<SMALL>::from_request(request, api).await?;
        from_json(&bytes).map(Self)
    }
}

/// A small JSON body that may be left out: the default then.
pub(crate) struct OptionalJsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned + Default> FromRequest<Shared> for OptionalJsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Shared) -> Result<Self, Problem> {
        let format = format(request.headers());
        let bytes = read(request, SMALL, api.body_timeout).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if format? != Format::Json {
            return Err(unsupported("application/json"));
        }
        from_json(&bytes).map(Self)
    }
}

/// Reads JSON: what is not JSON is malformed, what is of the wrong shape is invalid.
pub(crate) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Problem::malformed(format!("malformed JSON: {error}")))?;
    if let Some(offset) = find_lone_surrogate(text) {
        let detail = format!("malformed JSON: half of a surrogate pair at byte {offset}");
        return Err(Problem::malformed(detail));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer: String = error.path().iter().map(pointer_step).collect();
        (pointer, error.into_inner())
    });
    let read = read.and_then(|read| match deserializer.end() {
        Ok(()) => Ok(read),
        Err(error) => Err((String::new(), error)),
    });
    read.map_err(|(pointer, error)| {
        if !error.is_data() {
            return Problem::malformed(format!("malformed JSON: {error}"));
        }
        let text = error.to_string();
        Problem::invalid_field(&pointer, text.split(" at line ").next().unwrap_or_default())
    })
}

fn pointer_step(step: &Segment) -> String {
    match step {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{key}"),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    }
}

fn unsupported(expected: &str) -> Problem {
    let detail = format!("the body must be `{expected}`; say so in the header `Content-Type`");
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Problem::new(
        status,
        "unsupported-media-type",
        "Unsupported media type",
        detail,
    )
}

/// What the body says it is; without a word it is JSON.
fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(Format::Json);
    };
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    match text.split(';').next().unwrap_or_default().trim() {
        "application/json" => Ok(Format::Json),
        "application/x-ndjson" | "application/ndjson" => Ok(Format::Ndjson),
        other if other.starts_with("application/") && other.ends_with("+json") => Ok(Format::Json),
        _ => Err(unsupported("application/json")),
    }
}

async fn read(request: Request, max: usize, within: Duration) -> Result<Bytes, Problem> {
    let too_large = || Problem::too_large(format!("the body has more than {max} bytes"));
    // What is far too large by its own word is not waited for. What is a little too large is read as far as the bound, so that
    // the sender is done with sending and reads the answer.
    let said = usize::try_from(request.body().size_hint().lower()).unwrap_or(usize::MAX);
    if said / FAR_TOO_LARGE > max {
        return Err(too_large());
    }
    let body = Limited::new(request.into_body(), max).collect();
    match tokio::time::timeout(within, body).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::malformed("the body broke off")),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            "Timeout",
            format!("the body did not arrive within {within:?}"),
        )),
    }
}

/// The query of a URL.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(found)| Self(found))
            .map_err(|rejection| {
                let detail = rejection.body_text();
                let detail = detail.rsplit("query string: ").next().unwrap_or_default();
                Problem::invalid_field(
                    &detail
                        .split_once(": ")
                        .map_or_else(String::new, |(name, _)| format!("/{name}")),
                    format!("the query is wrong: {detail}"),
                )
            })
    }
}

/// The id in a path. What is no UUID names nothing.
pub(crate) struct PathId(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let nothing = || Problem::not_found("there is nothing of this id");
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| nothing())?;
        Uuid::parse_str(&text).map(Self).map_err(|_| nothing())
    }
}
