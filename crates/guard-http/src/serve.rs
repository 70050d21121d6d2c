//! Serving connections.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::context::PeerAddress;

/// How long to wait when no connection can be accepted, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bounds of a server.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// Connections at once, at most; further ones wait.
    pub max_connections: usize,
    /// How long the headers of a request may take to arrive.
    pub header_timeout: Duration,
    /// How long requests under way may take when the server stops.
    pub drain: Duration,
    /// From when on every answer closes its connection, so that clients come back on another one, and with a load balancer
    /// between on another server.
    pub leaving: CancellationToken,
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            header_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(30),
            leaving: CancellationToken::new(),
        }
    }
}

/// Serves a router until `stop` is cancelled, then lets requests under way end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: ServeSettings,
    stop: CancellationToken,
) {
    // Without the other protocol there is nothing to wait for before the headers, whose time is bounded.
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .keep_alive(true);
    let builder = Arc::new(builder);
    let places = Arc::new(Semaphore::new(settings.max_connections));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else {
            continue;
        };
        let watcher = graceful.watcher();
        let (builder, router) = (builder.clone(), router.clone());
        let leaving = settings.leaving.clone();
        tokio::spawn(async move {
            let service = router.map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(peer);
                request.map(axum::body::Body::new)
            });
            let service = service.map_response(move |mut response: Response| {
                if leaving.is_cancelled() {
                    let headers = response.headers_mut();
                    headers.insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            });
            let service = TowerToHyperService::new(service);
            let connection = builder
                .serve_connection(TokioIo::new(stream), service)
                .into_owned();
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%error, peer = %peer.0, "a connection broke");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(settings.drain, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("connections are still open and are cut off");
    }
}

type Accepted = (TcpStream, PeerAddress, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY cannot be set");
            }
            Some((stream, PeerAddress(peer), place))
        }
        Err(error) => {
            tracing::warn!(%error, "no connection can be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
