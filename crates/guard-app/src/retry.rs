//! When to try again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::ports::Random;

/// The first delay's bound.
const BASE: Duration = Duration::from_millis(500);
/// The longest delay's bound.
const CAP: Duration = Duration::from_secs(60);
/// The shortest delay.
const FLOOR: Duration = Duration::from_millis(50);
/// The longest wait that the other side can ask for.
const MAX_ASKED: Duration = Duration::from_secs(3600);

/// How long to wait after a failed attempt: exponential backoff with full jitter, from 50 ms up to 60 s, and at least
/// what the other side asked for.
///
/// Full jitter is from Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
pub(crate) fn delay(attempt: u32, asked: Option<Duration>, random: &dyn Random) -> TimeDelta {
    let doublings = attempt.saturating_sub(1).min(16);
    let bound = BASE.saturating_mul(1 << doublings).min(CAP);
    let millis = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX).max(1);
    let draw = u64::try_from(random.next_u128() % u128::from(millis)).unwrap_or(0);
    let jittered = Duration::from_millis(draw).max(FLOOR);
    let chosen = jittered.max(asked.unwrap_or_default());
    TimeDelta::from_std(chosen).unwrap_or(TimeDelta::MAX)
}

/// The wait of a `Retry-After` header: seconds, or a date to be seen from `now`. At most an hour.
#[must_use]
pub fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let seconds = value.trim().parse::<u64>().map(Duration::from_secs).ok();
    let date = || {
        let date = DateTime::parse_from_rfc2822(value.trim()).ok()?;
        (date.to_utc() - now).to_std().ok()
    };
    seconds.or_else(date).map(|wait| wait.min(MAX_ASKED))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Always(u128);
    impl Random for Always {
        fn next_u128(&self) -> u128 {
            self.0
        }
    }

    #[test]
    fn delays_double_up_to_a_minute_and_honour_what_was_asked() {
        let most = |attempt| {
            let bound =
                [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000][attempt as usize - 1];
            assert_eq!(
                delay(attempt, None, &Always(bound - 1)).num_milliseconds(),
                bound as i64 - 1
            );
            assert_eq!(delay(attempt, None, &Always(bound)).num_milliseconds(), 50);
        };
        (1..=9).for_each(most);
        assert_eq!(delay(u32::MAX, None, &Always(59_999)).num_seconds(), 59);
        let asked = Some(Duration::from_secs(7));
        assert_eq!(delay(1, asked, &Always(3)).num_seconds(), 7);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let at = |value| retry_after(value, DateTime::UNIX_EPOCH).map(|wait| wait.as_secs());
        assert_eq!(at("7"), Some(7));
        assert_eq!(at("Thu, 01 Jan 1970 00:00:30 GMT"), Some(30));
        assert_eq!(at("99999999"), Some(3600));
        assert_eq!(at("soon"), None);
        assert_eq!(at("-5"), None);
    }
}
