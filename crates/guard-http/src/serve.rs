//! Serving connections, within bounds.

mod activity;
mod connection;
mod limits;
mod service;
mod stream;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use guard_app::metric;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use metrics::counter;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::context::PeerAddress;
use crate::tls::Tls;
use connection::Connection;
use limits::ConnectionLimits;

/// How long to wait when no connection can be accepted, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Requests at once on one connection of HTTP/2.
const MAX_STREAMS: u32 = 128;
/// The headers of a request of HTTP/2, at most, in bytes.
const MAX_HEADER_LIST: u32 = 16 * 1024;
/// How often to see whether the other end of a connection of HTTP/2 is there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long it may take to answer that.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The bounds of a server.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// Connections at once, at most; further ones wait.
    pub max_connections: usize,
    /// Connections at once of one address (IPv6: of one network of 64 bits), at most; further ones are closed. 0: no limit.
    pub max_connections_per_address: usize,
    /// How long the headers of a request may take to arrive, those of a first one from the connection on.
    pub header_timeout: Duration,
    /// How long a connection may be without a request.
    pub idle_timeout: Duration,
    /// How long an answer may wait for a client that does not read.
    pub write_timeout: Duration,
    /// How connections are encrypted, if they are.
    pub tls: Option<Arc<Tls>>,
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
            max_connections_per_address: 1024,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            tls: None,
            drain: Duration::from_secs(30),
            leaving: CancellationToken::new(),
        }
    }
}

/// Has a service answer, such as an [`Interface`](crate::Interface) or a [`Router`](axum::Router), until `stop` is cancelled, then lets
/// requests under way end. The service is to be ready at any time.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    settings: ServeSettings,
    stop: CancellationToken,
) where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let builder = Arc::new(protocols());
    let limits = ConnectionLimits::new(
        settings.max_connections,
        settings.max_connections_per_address,
    );
    let (connections, cut) = (TaskTracker::new(), CancellationToken::new());
    let settings = Arc::new(settings);
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = limits.place() => place,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = place.of(peer.ip()) else {
            counter!(metric::CONNECTIONS_CLOSED, "reason" => "too_many").increment(1);
            tracing::debug!(%peer, "closed: this address has too many connections");
            continue;
        };
        let connection = Connection {
            builder: builder.clone(),
            service: service.clone(),
            peer: PeerAddress(peer),
            settings: settings.clone(),
            stop: stop.clone(),
            cut: cut.clone(),
        };
        connections.spawn(async move {
            connection.run(stream).await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(settings.drain, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!("connections are still open and are cut off");
        cut.cancel();
        connections.wait().await;
    }
}

/// HTTP/1.1, and HTTP/2 for who begins with its preface. What comes before the first request is bounded by the connection's
/// own clock, whichever it is.
fn protocols() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().header_read_timeout(None).keep_alive(true);
    // How many streams may be reset is bounded by what hyper does by itself.
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_LIST)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}
