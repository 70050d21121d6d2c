//! The generic cell rate algorithm on one number.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::ports::{RateGrant, RateQuota};

/// A bucket.
#[derive(Default)]
pub(super) struct Bucket {
    /// The moment at which it is full again, in microseconds since the epoch.
    full: AtomicI64,
    /// The window of the quota that it was last taken from by.
    window: AtomicI64,
}

impl Bucket {
    /// Takes as many requests as there are, up to `wanted`.
    pub(super) fn take(&self, now: i64, wanted: u32, quota: RateQuota) -> RateGrant {
        let window = window(quota);
        // Who gets a shorter window does not wait for the end of the longer one: an empty bucket is full again after it.
        let latest = if self.window.load(Ordering::Relaxed) == window {
            i64::MAX
        } else {
            self.window.store(window, Ordering::Relaxed);
            now + window
        };
        let mut full = self.full.load(Ordering::Relaxed);
        loop {
            let (next, grant) = take(full.min(latest), now, wanted, quota);
            let swapped =
                self.full
                    .compare_exchange_weak(full, next, Ordering::Relaxed, Ordering::Relaxed);
            match swapped {
                Ok(_) => return grant,
                Err(other) => full = other,
            }
        }
    }

    /// Whether nothing has been taken from it that has not come back.
    pub(super) fn is_full(&self, now: i64) -> bool {
        self.full.load(Ordering::Relaxed) <= now
    }
}

/// When the bucket is full again after this, and what is granted. `guard-redis` has the same in its script.
fn take(full: i64, now: i64, wanted: u32, quota: RateQuota) -> (i64, RateGrant) {
    let (interval, window) = (quota.interval_micros(), window(quota));
    let full = full.max(now);
    let free = u32::try_from((now + window - full) / interval).unwrap_or(0);
    let granted = wanted.min(free);
    let next = full + interval * i64::from(granted);
    let grant = RateGrant {
        granted,
        remaining: free - granted,
        reset: micros(next - now),
        retry_after: micros(next + interval - window - now),
    };
    (next, grant)
}

/// How long an empty bucket takes to be full again.
fn window(quota: RateQuota) -> i64 {
    quota.interval_micros() * i64::from(quota.requests())
}

/// A time that has passed is none.
fn micros(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn quota() -> RateQuota {
        RateQuota::new(NonZeroU32::new(10).unwrap(), Duration::from_secs(10)).unwrap()
    }

    #[test]
    fn a_bucket_gives_its_size_at_once_and_then_one_by_one() {
        let bucket = Bucket::default();
        let start = 1_000_000_000;
        let grant = bucket.take(start, 7, quota());
        assert_eq!((grant.granted, grant.remaining), (7, 3));
        assert_eq!(grant.reset, Duration::from_secs(7));
        assert_eq!(grant.retry_after, Duration::ZERO);
        let part = bucket.take(start, 7, quota());
        assert_eq!((part.granted, part.remaining), (3, 0));
        assert_eq!(part.retry_after, Duration::from_secs(1));
        let early = bucket.take(start + 999_999, 1, quota());
        assert_eq!(early.granted, 0);
        assert_eq!(early.retry_after, Duration::from_micros(1));
        assert_eq!(bucket.take(start + 1_000_000, 2, quota()).granted, 1);
        assert!(!bucket.is_full(start + 10_999_999));
        assert!(bucket.is_full(start + 11_000_000));
        assert_eq!(bucket.take(start + 60_000_000, 20, quota()).granted, 10);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_away() {
        let bucket = Bucket::default();
        assert_eq!(bucket.take(20_000_000, 10, quota()).granted, 10);
        assert_eq!(bucket.take(5_000_000, 1, quota()).granted, 0);
        assert_eq!(bucket.take(21_000_000, 2, quota()).granted, 1);
    }
}
