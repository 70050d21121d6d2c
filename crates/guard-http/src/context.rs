//! What surrounds every request: its id, its trace, and errors in one form.

use std::net::SocketAddr;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use guard_app::metric;
use guard_app::ports::{Origin, random_tail};
use guard_domain::id;
use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use crate::headers::harden;
use crate::problem::Problem;
use crate::state::Shared;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where the other end of the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// The id of a request and the trace it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    pub(crate) id: Uuid,
    traceparent: String,
}

impl RequestContext {
    /// Where an event came from.
    pub(crate) fn origin(&self, subject: &str) -> Origin {
        Origin {
            subject: subject.to_owned(),
            request_id: self.id.to_string(),
            traceparent: Some(self.traceparent.clone()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| Problem::of_status(http::StatusCode::INTERNAL_SERVER_ERROR))
    }
}

/// The outermost layer: names the request, and gives every error the same form.
pub(crate) async fn surround(
    State(api): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let sent = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    let id = sent
        .and_then(|text| Uuid::parse_str(text).ok())
        .unwrap_or_else(|| id::v7(api.clock.now(), random_tail(api.random.as_ref())));
    let traceparent = traceparent(request.headers())
        .unwrap_or_else(|| new_traceparent(id, api.random.next_u128()));
    request
        .extensions_mut()
        .insert(RequestContext { id, traceparent });
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut response = next.run(request).await;
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        metrics::counter!(metric::REFUSED, "status" => status.as_u16().to_string()).increment(1);
        tracing::debug!(%method, path = uri.path(), status = status.as_u16(), request_id = %id, "refused");
        response = in_one_form(response, id);
    }
    harden(response.headers_mut(), uri.path());
    let mut text = Uuid::encode_buffer();
    if let Ok(value) = HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Errors of the framework say what they have to say in plain text: they become problems too.
fn in_one_form(mut response: Response, id: Uuid) -> Response {
    let status = response.status();
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return problem.of_request(id).render();
    }
    let content_type = response.headers().get(http::header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes().ends_with(b"json")) {
        return response;
    }
    let allow = response.headers_mut().remove(http::header::ALLOW);
    let mut rendered = Problem::of_status(status).of_request(id).render();
    if let Some(allow) = allow {
        rendered.headers_mut().insert(http::header::ALLOW, allow);
    }
    rendered
}

/// The trace of whoever sends none: it bears the request's id.
fn new_traceparent(id: Uuid, random: u128) -> String {
    let (mut trace, mut span) = (Uuid::encode_buffer(), Uuid::encode_buffer());
    let trace = id.simple().encode_lower(&mut trace);
    let span = Uuid::from_u128(random).simple().encode_lower(&mut span);
    let span = span.get(..16).unwrap_or("0000000000000001");
    ["00-", trace, "-", span, "-00"].concat()
}

/// The W3C trace context of a request, if it is well-formed (version 00).
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &str, length| {
        part.len() == length
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    match parts.as_slice() {
        ["00", trace, parent, flags]
            if hex(trace, 32)
                && hex(parent, 16)
                && hex(flags, 2)
                && *trace != "0".repeat(32)
                && *parent != "0".repeat(16) =>
        {
            Some(text.to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_traces_are_passed_on() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", HeaderValue::from_str(text).unwrap());
            traceparent(&headers)
        };
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(of(good).as_deref(), Some(good));
        for bad in [
            "",
            "x",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            &good.to_uppercase(),
            &good[1..],
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
        let new = new_traceparent(Uuid::max(), 7 << 64);
        assert_eq!(of(&new).as_deref(), Some(new.as_str()));
    }
}
