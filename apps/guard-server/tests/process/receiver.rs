//! A receiver of webhooks that keeps what reaches it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[derive(Default)]
struct Inner {
    messages: Mutex<Vec<(HeaderMap, String)>>,
    answers: Mutex<VecDeque<u16>>,
    held: Mutex<bool>,
}

/// It is gone when it is dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
    stop: CancellationToken,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(64).unwrap();
        let address = listener.local_addr().unwrap();
        let (inner, stop) = (Arc::<Inner>::default(), CancellationToken::new());
        let router = Router::new()
            .route("/hook", post(take))
            .with_state(inner.clone());
        let settings = guard_http::ServeSettings {
            drain: Duration::ZERO,
            ..Default::default()
        };
        tokio::spawn(guard_http::serve(listener, router, settings, stop.clone()));
        Self {
            address,
            inner,
            stop,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The next answers; after them it is 200.
    pub(crate) fn answer(&self, statuses: impl IntoIterator<Item = u16>) {
        self.inner.answers.lock().unwrap().extend(statuses);
    }

    /// Lets every message wait for an answer that does not come.
    pub(crate) fn hold(&self) {
        *self.inner.held.lock().unwrap() = true;
    }

    pub(crate) fn count(&self) -> usize {
        self.inner.messages.lock().unwrap().len()
    }

    /// What has come, each with its id; the signatures are right.
    pub(crate) fn messages(&self) -> Vec<(String, Value)> {
        let messages = self.inner.messages.lock().unwrap();
        let checked = |(headers, body): &(HeaderMap, String)| {
            let header = |name: &str| headers[name].to_str().unwrap().to_owned();
            let id = header("webhook-id");
            let at = header("webhook-timestamp").parse().unwrap();
            let signature = guard_app::sign_webhook(SECRET, &id, at, body);
            assert_eq!(header("webhook-signature"), signature);
            (id, serde_json::from_str(body).unwrap())
        };
        messages.iter().map(checked).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn take(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: String) -> StatusCode {
    inner.messages.lock().unwrap().push((headers, body));
    if *inner.held.lock().unwrap() {
        std::future::pending::<()>().await;
    }
    let scripted = inner.answers.lock().unwrap().pop_front();
    StatusCode::from_u16(scripted.unwrap_or(200)).unwrap()
}
