//! What a connection is doing, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use http_body_util::BodyExt;
use tokio::time::Instant;

/// The longest body that is sent at once, in bytes.
const SHORT: u64 = 64 * 1024;
/// No request is on its way in.
const NONE: u64 = u64::MAX;

/// What a connection is doing. Times are milliseconds since its beginning.
pub(super) struct Activity {
    begun: Instant,
    /// Requests that are being answered.
    requests: AtomicUsize,
    /// Since when the headers of a request have been coming in, or [`NONE`]. A first one is due from the beginning on.
    headers_since: AtomicU64,
    /// When the last request had been answered.
    idle_since: AtomicU64,
    multiplexed: AtomicBool,
}

/// What is to be done about a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing; look again after this time at the latest.
    Fine(Duration),
    /// The headers of a request take too long.
    SlowHeaders,
    /// There has been no request for too long.
    Idle,
}

/// A request that is being answered.
pub(super) struct Answering(Arc<Activity>);

impl Activity {
    /// That of a new connection.
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            requests: AtomicUsize::new(0),
            headers_since: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            multiplexed: AtomicBool::new(false),
        }
    }

    /// Bytes have come in.
    pub(super) fn received(&self) {
        // On HTTP/2 they may be anything, such as the answer to a ping.
        let multiplexed = self.multiplexed.load(Ordering::Relaxed);
        if !multiplexed && self.requests.load(Ordering::Relaxed) == 0 {
            _ = self.headers_since.compare_exchange(
                NONE,
                self.now(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }

    /// The headers of a request are there.
    pub(super) fn request(self: &Arc<Self>, multiplexed: bool) -> Answering {
        self.multiplexed.store(multiplexed, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.headers_since.store(NONE, Ordering::Relaxed);
        Answering(self.clone())
    }

    /// How the connection stands.
    pub(super) fn standing(&self, header_timeout: Duration, idle_timeout: Duration) -> Standing {
        // What is shorter may begin to count at any time.
        let at_most = header_timeout.min(idle_timeout);
        if self.requests.load(Ordering::Relaxed) > 0 {
            return Standing::Fine(at_most);
        }
        let now = self.now();
        let since = |then: u64| Duration::from_millis(now.saturating_sub(then));
        let headers_since = self.headers_since.load(Ordering::Relaxed);
        let (elapsed, bound, beyond) = if headers_since == NONE {
            let idle = since(self.idle_since.load(Ordering::Relaxed));
            (idle, idle_timeout, Standing::Idle)
        } else {
            (since(headers_since), header_timeout, Standing::SlowHeaders)
        };
        match bound.checked_sub(elapsed) {
            Some(left) if !left.is_zero() => Standing::Fine(left.min(at_most)),
            _ => beyond,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(NONE - 1)
    }
}

impl Answering {
    /// Ends the answering, but for a body that may be long: as long as the client takes pieces of it, the connection is not
    /// idle.
    pub(super) fn but_for_the_body(self, response: Response) -> Response {
        let size = response.body().size_hint().exact();
        if size.is_some_and(|size| size <= SHORT) {
            return response;
        }
        let activity = self.0.clone();
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                activity.idle_since.store(activity.now(), Ordering::Relaxed);
                frame
            }))
        })
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let activity = &self.0;
        activity.idle_since.store(activity.now(), Ordering::Relaxed);
        activity.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    fn standing(activity: &Activity) -> Standing {
        activity.standing(HEADERS, IDLE)
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_request_is_due_at_once() {
        let activity = Activity::new();
        pass(4).await;
        activity.received();
        assert_eq!(standing(&activity), Standing::Fine(Duration::from_secs(6)));
        pass(6).await;
        assert_eq!(standing(&activity), Standing::SlowHeaders);
    }

    #[tokio::test(start_paused = true)]
    async fn a_further_request_is_due_from_its_first_byte_on() {
        let activity = Arc::new(Activity::new());
        drop(activity.request(false));
        pass(60).await;
        assert_eq!(standing(&activity), Standing::Fine(HEADERS));
        activity.received();
        pass(5).await;
        activity.received();
        pass(5).await;
        assert_eq!(standing(&activity), Standing::SlowHeaders);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_nothing_is_idle_and_who_is_being_answered_is_not() {
        let activity = Arc::new(Activity::new());
        let answering = activity.request(false);
        pass(1000).await;
        activity.received();
        assert_eq!(standing(&activity), Standing::Fine(HEADERS));
        drop(answering);
        pass(74).await;
        assert_eq!(standing(&activity), Standing::Fine(Duration::from_secs(1)));
        pass(1).await;
        assert_eq!(standing(&activity), Standing::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_long_answer_piece_by_piece_is_not_idle_and_who_takes_none_is() {
        let activity = Arc::new(Activity::new());
        // How long it is is not said.
        let pieces = Body::from("a piece").map_frame(|frame| frame);
        let response = activity
            .request(true)
            .but_for_the_body(Response::new(Body::new(pieces)));
        pass(60).await;
        let mut body = response.into_body();
        assert!(body.frame().await.is_some());
        pass(74).await;
        assert_eq!(standing(&activity), Standing::Fine(Duration::from_secs(1)));
        pass(1).await;
        assert_eq!(standing(&activity), Standing::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn pings_are_neither_requests_nor_activity() {
        let activity = Arc::new(Activity::new());
        drop(activity.request(true));
        pass(30).await;
        activity.received();
        pass(44).await;
        assert_eq!(standing(&activity), Standing::Fine(Duration::from_secs(1)));
        pass(1).await;
        assert_eq!(standing(&activity), Standing::Idle);
    }
}
