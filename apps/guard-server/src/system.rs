//! The time and the randomness of the machine.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{Clock, Random};

/// The clock of the machine that the embedded database is on.
///
/// It runs on from its first reading by the monotonic clock, so that setting the machine's clock back does not repeat
/// time; where the two drift more than a second apart, it follows the machine's clock forward.
#[derive(Debug)]
pub struct SystemClock {
    first: DateTime<Utc>,
    since: Instant,
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
        let steady = self.first + elapsed;
        let wall = wall_clock();
        if wall - steady > DRIFT { wall } else { steady }
    }
}

/// The randomness of the operating system.
#[derive(Debug, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn next_u128(&self) -> u128 {
        let mut bytes = [0; 16];
        // Without randomness there are no unique ids and no safe keys: nothing can go on.
        #[expect(
            clippy::panic,
            reason = "an operating system without randomness cannot be served"
        )]
        if let Err(error) = getrandom::fill(&mut bytes) {
            panic!("the operating system gives no randomness: {error}");
        }
        u128::from_be_bytes(bytes)
    }
}
