//! What surrounds every request: its id, its trace, and errors in one form.

use std::net::SocketAddr;

use axum::extract::{FromRequestParts, Request};
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
use crate::state::Api;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where the other end of the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// A W3C trace context of version 00: every event has one, hence no text on the heap.
type Traceparent = [u8; 55];

/// The id of a request and the trace it belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestContext {
    pub(crate) id: Uuid,
    traceparent: Traceparent,
}

impl RequestContext {
    /// Where an event came from.
    pub(crate) fn origin(&self, subject: &str) -> Origin {
        Origin {
            subject: subject.to_owned(),
            request_id: self.id.to_string(),
            traceparent: String::from_utf8(self.traceparent.to_vec()).ok(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let found = parts.extensions.get::<Self>().copied();
        found.ok_or_else(|| Problem::of_status(http::StatusCode::INTERNAL_SERVER_ERROR))
    }
}

/// What surrounds the answer to every request: names the request, and gives every error the same form.
pub(crate) async fn surround(
    api: &Api,
    mut request: Request,
    answer: impl AsyncFnOnce(Request) -> Response,
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
    let mut response = answer(request).await;
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
    let problem = response.extensions_mut().remove::<Problem>();
    let content_type = response.headers().get(http::header::CONTENT_TYPE);
    let is_json = content_type.is_some_and(|value| value.as_bytes().ends_with(b"json"));
    let problem = match problem {
        Some(problem) => problem,
        None if is_json => return response,
        None => Problem::of_status(status),
    };
    let mut rendered = problem.of_request(id).render();
    if let Some(allow) = response.headers_mut().remove(http::header::ALLOW) {
        rendered.headers_mut().insert(http::header::ALLOW, allow);
    }
    rendered
}

/// The trace of whoever sends none: it bears the request's id.
fn new_traceparent(id: Uuid, random: u128) -> Traceparent {
    let (mut trace, mut span) = (Uuid::encode_buffer(), Uuid::encode_buffer());
    let trace = id.simple().encode_lower(&mut trace);
    let span = Uuid::from_u128(random).simple().encode_lower(&mut span);
    let span = span.get(..16).unwrap_or("0000000000000001");
    let mut text = [0; _];
    let parts = ["00-", trace, "-", span, "-00"];
    for (place, byte) in text
        .iter_mut()
        .zip(parts.iter().flat_map(|part| part.bytes()))
    {
        *place = byte;
    }
    text
}

/// The W3C trace context of a request, if it is well-formed (version 00).
fn traceparent(headers: &HeaderMap) -> Option<Traceparent> {
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
            text.as_bytes().try_into().ok()
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
        assert_eq!(of(good).unwrap(), good.as_bytes());
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
        assert_eq!(of(std::str::from_utf8(&new).unwrap()), Some(new));
    }
}
