//! What answers the requests of a connection.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{CONNECTION, STRICT_TRANSPORT_SECURITY};
use http::{HeaderValue, StatusCode, Version};
use hyper::body::Incoming;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::activity::Activity;
use crate::context::PeerAddress;

/// Whoever has come over TLS comes over nothing else for a year.
const STRICT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// What answers the requests of a connection.
pub(super) struct ConnectionService<S> {
    pub(super) service: S,
    pub(super) peer: PeerAddress,
    pub(super) encrypted: bool,
    pub(super) activity: Arc<Activity>,
    /// From when on the connection is to end with its answers.
    pub(super) leaving: CancellationToken,
    /// Told that a connection of HTTP/2 is to end with its answers.
    pub(super) leave: Notify,
}

impl<S> ConnectionService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone,
{
    /// Answers a request.
    pub(super) async fn call(
        self: Arc<Self>,
        mut request: http::Request<Incoming>,
    ) -> Result<Response, Infallible> {
        let multiplexed = request.version() == Version::HTTP_2;
        let answering = self.activity.request(multiplexed);
        request.extensions_mut().insert(self.peer);
        let answer = self.service.clone().call(request.map(Body::new));
        let Ok(mut response) = answer.await;
        drop(answering);
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
