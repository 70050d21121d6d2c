//! A stand-in for n8n that answers after 20 ms, and notes how old the events are that come.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::routing::post;

type Ages = Arc<Mutex<Vec<Duration>>>;

pub(crate) struct StandIn {
    address: SocketAddr,
    ages: Ages,
}

/// Microseconds since the epoch.
pub(crate) fn micros_now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    since.as_micros() as u64
}

impl StandIn {
    pub(crate) async fn start() -> Self {
        let ages = Ages::default();
        let router = Router::new()
            .route("/webhook/failsafe/bench", post(take))
            .route("/healthz", axum::routing::get(|| async {}))
            .with_state(ages.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, ages }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn forget(&self) {
        self.ages.lock().expect("no panic").clear();
    }

    /// Prints how long it took from an event's moment to its webhook.
    pub(crate) fn print(&self, name: &str) {
        let ages = std::mem::take(&mut *self.ages.lock().expect("no panic"));
        let outcome =
            super::load::Outcome::of(ages, super::load::Refused::new(), Duration::from_secs(1));
        let [p50, p99, p999] = outcome.percentiles();
        println!(
            "| {name} | {} webhooks | | {p50:.2} | {p99:.2} | {p999:.2} | | | |",
            outcome.count()
        );
    }
}

async fn take(State(ages): State<Ages>, body: String) -> &'static str {
    let now = micros_now();
    let sent = body.split_once("\"sent\":").and_then(|(_, rest)| {
        rest.split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    });
    if let Some(sent) = sent {
        let age = Duration::from_micros(now.saturating_sub(sent));
        ages.lock().expect("no panic").push(age);
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    "{}"
}
