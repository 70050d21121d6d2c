//! Counting what fails, for each of many who fail, in bounded room.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How many failures are free at once, and how long it takes until one more is.
const FREE: i32 = 10;
const EVERY: TimeDelta = TimeDelta::seconds(6);
/// How many who failed are remembered apart; further ones count as one.
const MAX_REMEMBERED: usize = 10_000;

/// Who failed lately: for each the moment at which all is forgotten.
pub(crate) struct Failures<K> {
    lately: Mutex<HashMap<Option<K>, DateTime<Utc>>>,
}

impl<K> Default for Failures<K> {
    fn default() -> Self {
        Self {
            lately: Mutex::default(),
        }
    }
}

impl<K: Hash + Eq> Failures<K> {
    /// Counts a failure. If there were too many, it is not counted, and the time until one more is free is given.
    pub(crate) fn count(&self, who: K, now: DateTime<Utc>) -> Option<Duration> {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        let mut who = Some(who);
        if lately.len() >= MAX_REMEMBERED && !lately.contains_key(&who) {
            lately.retain(|_, until| *until > now);
            if lately.len() >= MAX_REMEMBERED {
                who = None;
            }
        }
        let until = lately.entry(who).or_insert(now);
        let counted = (*until).max(now) + EVERY;
        let wait = counted - now - EVERY * FREE;
        if wait > TimeDelta::zero() {
            return Some(wait.to_std().unwrap_or_default());
        }
        *until = counted;
        None
    }

    /// Takes back what was counted.
    pub(crate) fn forgive(&self, who: &Option<K>) {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = lately.get_mut(who) {
            *until -= EVERY;
        }
    }
}

/// Addresses that count as one: of IPv6 those of a network of 64 bits, which one subscriber has.
pub(crate) fn neighbourhood(address: Option<IpAddr>) -> Option<IpAddr> {
    Some(match address?.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address @ IpAddr::V4(_) => address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn ten_at_once_are_free_and_then_one_every_six_seconds() {
        let failures = Failures::default();
        for _ in 0..FREE {
            assert_eq!(failures.count("a", at(0)), None);
        }
        let wait = Some(Duration::from_secs(6));
        assert_eq!(failures.count("a", at(0)), wait);
        assert_eq!(failures.count("a", at(0)), wait, "refusing costs nothing");
        assert_eq!(failures.count("b", at(0)), None, "another one is free");
        assert_eq!(failures.count("a", at(6)), None);
        assert!(failures.count("a", at(6)).is_some());
        failures.forgive(&Some("a"));
        assert_eq!(failures.count("a", at(6)), None);
    }

    #[test]
    fn the_table_is_bounded_and_strangers_share_a_place() {
        let failures = Failures::default();
        for who in 0..MAX_REMEMBERED {
            assert_eq!(failures.count(who, at(0)), None);
        }
        let free = (0..100).filter(|n| failures.count(MAX_REMEMBERED + n, at(0)).is_none());
        assert_eq!(free.count(), usize::try_from(FREE).unwrap());
        assert_eq!(failures.lately.lock().unwrap().len(), MAX_REMEMBERED + 1);
        assert_eq!(failures.count(MAX_REMEMBERED + 200, at(60)), None);
        assert_eq!(
            failures.lately.lock().unwrap().len(),
            1,
            "what is over goes"
        );
    }

    #[test]
    fn a_network_of_a_subscriber_counts_as_one() {
        let of = |text: &str| neighbourhood(Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:203.0.113.7"), of("203.0.113.7"));
        assert_ne!(of("203.0.113.7"), of("203.0.113.8"));
    }
}
