//! How many events a source may send.

use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use guard_domain::{Severity, Source, TenantId};
use thiserror::Error;

/// How many sources of a tenant have buckets of their own; the rest share one.
pub const MAX_TRACKED_SOURCES: usize = 1000;

/// Which of the two buckets of a source: a flood of other events must not keep a critical one out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RateClass {
    /// Events that are not critical.
    Normal,
    /// Events of severity `critical`.
    Critical,
}

impl RateClass {
    /// The class of a severity.
    #[must_use]
    pub fn of(severity: Severity) -> Self {
        if severity == Severity::Critical {
            Self::Critical
        } else {
            Self::Normal
        }
    }

    /// The class as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Critical => "critical",
        }
    }
}

/// The size of a bucket, and how fast it is refilled: so many requests at once, and as many again in each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateQuota {
    requests: NonZeroU32,
    window: Duration,
}

/// A quota that is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RateQuotaError {
    /// The window is too short or too long.
    #[error("a window is 1s to 1d long")]
    Window,
    /// More than one request in a microsecond.
    #[error("at most {0} requests fit into the window: one in a microsecond")]
    TooMany(u128),
}

impl RateQuota {
    /// So many requests in each window of one second to one day.
    ///
    /// # Errors
    /// [`RateQuotaError`]
    pub fn new(requests: NonZeroU32, window: Duration) -> Result<Self, RateQuotaError> {
        if window < Duration::from_secs(1) || window > Duration::from_secs(24 * 3600) {
            return Err(RateQuotaError::Window);
        }
        if window.as_micros() < u128::from(requests.get()) {
            return Err(RateQuotaError::TooMany(window.as_micros()));
        }
        Ok(Self { requests, window })
    }

    /// How many requests.
    #[must_use]
    pub const fn requests(self) -> u32 {
        self.requests.get()
    }

    /// In how long a time.
    #[must_use]
    pub const fn window(self) -> Duration {
        self.window
    }

    /// After how many microseconds there is room for one more. At least 1.
    #[must_use]
    pub fn interval_micros(self) -> i64 {
        let interval = self.window.as_micros() / u128::from(self.requests.get());
        i64::try_from(interval).unwrap_or(i64::MAX)
    }
}

/// What a source wants to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateDemand<'a> {
    /// Who sends.
    pub source: &'a Source,
    /// From which of its buckets.
    pub class: RateClass,
    /// How many requests.
    pub requests: u32,
    /// The size of the bucket.
    pub quota: RateQuota,
    /// Whether the configuration or the tenant's own limits name the source: it has buckets of its own then, however many
    /// others are tracked.
    pub named: bool,
}

/// What a source gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateGrant {
    /// How many requests of those that were asked for; fewer if the bucket has no more.
    pub granted: u32,
    /// How many more there are now.
    pub remaining: u32,
    /// When the bucket is full again.
    pub reset: Duration,
    /// When there is room for one more; zero if there is now.
    pub retry_after: Duration,
}

/// Counts what sources send, by the generic cell rate algorithm.
#[async_trait]
pub trait RateLimiter: Send + Sync {
    /// Takes as much of each demand as its bucket has; gives as many grants as there are demands, in their order. It always
    /// answers, and soon: what cannot be counted where it should be is counted elsewhere.
    async fn take(&self, tenant: &TenantId, demands: &[RateDemand<'_>]) -> Vec<RateGrant>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_fits_its_window() {
        let quota = |requests, seconds| {
            RateQuota::new(
                NonZeroU32::new(requests).unwrap(),
                Duration::from_secs(seconds),
            )
        };
        assert_eq!(quota(1000, 60).unwrap().interval_micros(), 60_000);
        assert_eq!(quota(1_000_000, 1).unwrap().interval_micros(), 1);
        let many = quota(1_000_001, 1).unwrap_err().to_string();
        assert!(many.contains("at most 1000000 requests"), "{many}");
        assert_eq!(quota(1, 0), Err(RateQuotaError::Window));
        assert_eq!(quota(1, 24 * 3600 + 1), Err(RateQuotaError::Window));
    }
}
