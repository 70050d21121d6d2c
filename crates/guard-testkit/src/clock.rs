//! Time and randomness under control.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{Clock, Random};

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct FakeClock(Mutex<DateTime<Utc>>);

impl FakeClock {
    /// A clock at `2026-11-20T03:00:00Z`.
    pub fn new() -> Self {
        let start = DateTime::from_timestamp(1_763_607_600 + 31_536_000, 0).expect("a valid time");
        Self(Mutex::new(start))
    }

    /// Moves the clock.
    pub fn advance(&self, by: TimeDelta) {
        *self.0.lock().expect("no panic") += by;
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().expect("no panic")
    }
}

/// Random numbers that are the same in every run.
#[derive(Debug, Default)]
pub struct SeededRandom(AtomicU64);

impl Random for SeededRandom {
    fn next_u128(&self) -> u128 {
        // SplitMix64 (Steele, Lea, Flood 2014), twice.
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        let mix = |seed: u64| {
            let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        u128::from(mix(count)) << 64 | u128::from(mix(count ^ 0x5555_5555))
    }
}
