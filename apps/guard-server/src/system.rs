//! The time and the randomness of the machine.

use std::cell::RefCell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{Clock, Random};

/// The clock of the machine that the embedded database is on. It runs on from its first
/// reading by the monotonic clock, follows the machine's clock when that is set forward, and never runs backwards.
#[derive(Debug)]
pub struct SystemClock {
    first: DateTime<Utc>,
    since: Instant,
    /// The latest answer, in microseconds after `first`.
    latest: AtomicI64,
}

/// How far the machine's clock may run ahead before it is followed.
const DRIFT: TimeDelta = TimeDelta::seconds(1);

impl SystemClock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            first: wall_clock(),
            since: Instant::now(),
            latest: AtomicI64::new(0),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the adapter of the Clock port"
)]
fn wall_clock() -> DateTime<Utc> {
    std::time::SystemTime::now().into()
}

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.since.elapsed()).unwrap_or(TimeDelta::MAX);
        let (steady, wall) = (self.first + elapsed, wall_clock());
        let believed = if wall - steady > DRIFT { wall } else { steady };
        let offset = (believed - self.first)
            .num_microseconds()
            .unwrap_or(i64::MAX);
        let latest = self.latest.fetch_max(offset, Ordering::Relaxed).max(offset);
        self.first + TimeDelta::microseconds(latest)
    }
}

/// The randomness of the operating system.
#[derive(Debug, Clone, Copy)]
pub struct SystemRandom;

/// How much randomness a thread asks for at once: every event needs some, and a call of the system costs more than the bits.
const AT_ONCE: usize = 256;

thread_local! {
    /// Randomness that has not been handed out yet.
    static STOCK: RefCell<Vec<u128>> = const { RefCell::new(Vec::new()) };
}

impl Random for SystemRandom {
    fn next_u128(&self) -> u128 {
        STOCK.with_borrow_mut(|stock| {
            if let Some(bits) = stock.pop() {
                return bits;
            }
            let mut bytes = [0; AT_ONCE * 16];
            // Without randomness there are no unique ids and no safe keys: nothing can go on.
            #[expect(
                clippy::panic,
                reason = "an operating system without randomness cannot be served"
            )]
            if let Err(error) = getrandom::fill(&mut bytes) {
                panic!("the operating system gives no randomness: {error}");
            }
            let (chunks, _) = bytes.as_chunks::<16>();
            stock.extend(chunks.iter().map(|chunk| u128::from_be_bytes(*chunk)));
            stock.pop().unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_run_backwards() {
        let clock = SystemClock::start();
        clock.latest.store(3_600_000_000, Ordering::Relaxed);
        let (one, two) = (clock.now(), clock.now());
        assert_eq!(
            one,
            clock.first + TimeDelta::hours(1),
            "an hour ahead was seen before"
        );
        assert!(two >= one);
    }
}
