//! One connection.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use guard_app::metric;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use metrics::counter;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::ServeSettings;
use super::activity::{Activity, Standing};
use super::service::ConnectionService;
use super::stream::WatchedStream;
use crate::context::PeerAddress;

/// What a connection works with.
pub(super) struct Connection<S> {
    pub(super) builder: Arc<Builder<TokioExecutor>>,
    pub(super) service: S,
    pub(super) peer: PeerAddress,
    pub(super) settings: Arc<ServeSettings>,
    /// No further requests.
    pub(super) stop: CancellationToken,
    /// No further waiting.
    pub(super) cut: CancellationToken,
}

impl<S> Connection<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    /// Answers requests until there are no more.
    pub(super) async fn run(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        let activity = Arc::new(Activity::new());
        let stream = WatchedStream::new(stream, activity.clone(), self.settings.write_timeout);
        let Some(tls) = self.settings.tls.clone() else {
            return self.answer(stream, activity).await;
        };
        let accepted = tokio::select! {
            () = self.stop.cancelled() => return,
            accepted = timeout(self.settings.header_timeout, tls.accept(stream)) => accepted,
        };
        let why = match accepted {
            Ok(Ok(stream)) => return self.answer(stream, activity).await,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        counter!(metric::CONNECTIONS_CLOSED, "reason" => "handshake").increment(1);
        tracing::debug!(peer = %self.peer.0, why, "closed: no TLS was agreed on");
    }

    async fn answer<T>(self, stream: T, activity: Arc<Activity>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self {
            builder,
            service,
            peer,
            settings,
            stop,
            cut,
        } = self;
        let service = Arc::new(ConnectionService {
            service,
            peer,
            encrypted: settings.tls.is_some(),
            activity: activity.clone(),
            leaving: settings.leaving.clone(),
            leave: Notify::new(),
        });
        let answers = service_fn({
            let service = service.clone();
            move |request| service.clone().call(request)
        });
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), answers));
        let mut look = pin!(sleep_until(Instant::now()));
        let (mut stopping, mut ending) = (false, false);
        loop {
            tokio::select! {
                outcome = connection.as_mut() => {
                    if let Err(error) = outcome {
                        tracing::debug!(%error, peer = %peer.0, "a connection broke");
                    }
                    return;
                }
                () = cut.cancelled() => return,
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = service.leave.notified() => connection.as_mut().graceful_shutdown(),
                () = look.as_mut() => match activity.standing(settings.header_timeout, settings.idle_timeout) {
                    Standing::Fine(at_most) => look.as_mut().reset(Instant::now() + at_most),
                    Standing::SlowHeaders => {
                        counter!(metric::CONNECTIONS_CLOSED, "reason" => "slow_headers").increment(1);
                        tracing::debug!(peer = %peer.0, "closed: the headers of a request did not come in time");
                        return;
                    }
                    // The client has not taken the end, or an answer.
                    Standing::Idle if ending => return,
                    Standing::Idle => {
                        ending = true;
                        connection.as_mut().graceful_shutdown();
                        look.as_mut().reset(Instant::now() + settings.write_timeout);
                    }
                },
            }
        }
    }
}
