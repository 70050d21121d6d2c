//! What answers the requests of a connection.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::header::{CONNECTION, STRICT_TRANSPORT_SECURITY};
use http::{HeaderValue, Request, StatusCode, Version};
use hyper::body::Incoming;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::activity::Activity;
use crate::context::PeerAddress;

/// Whoever has come over TLS comes over nothing else for a year.
const STRICT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// What answers the requests of a connection.
pub(super) struct ConnectionService {
    pub(super) router: Router,
    pub(super) peer: PeerAddress,
    pub(super) encrypted: bool,
    pub(super) activity: Arc<Activity>,
    /// From when on the connection is to end with its answers.
    pub(super) leaving: CancellationToken,
    /// Told that a connection of HTTP/2 is to end with its answers.
    pub(super) leave: Notify,
}

impl ConnectionService {
    /// Answers a request.
    pub(super) async fn call(
        self: Arc<Self>,
        mut request: Request<Incoming>,
    ) -> Result<Response, Infallible> {
        let multiplexed = request.version() == Version::HTTP_2;
        let answering = self.activity.request(multiplexed);
        request.extensions_mut().insert(self.peer);
        let Ok(response) = self.router.clone().oneshot(request.map(Body::new)).await;
        let mut response = answering.but_for_the_body(response);
        if self.encrypted {
            let headers = response.headers_mut();
            headers.insert(STRICT_TRANSPORT_SECURITY, STRICT);
        }
        let leaving = self.leaving.is_cancelled();
        if multiplexed && leaving {
            self.leave.notify_one();
        } else if !multiplexed && (leaving || too_late(&response)) {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        Ok(response)
    }
}

/// Whether the rest of the request may still be coming.
fn too_late(response: &Response) -> bool {
    response.status() == StatusCode::REQUEST_TIMEOUT
}
