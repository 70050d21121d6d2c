//! The headers that say how a source stands: `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10.

use std::fmt::Write;
use std::time::Duration;

use guard_app::RateStanding;
use guard_app::ports::RateClass;
use http::{HeaderMap, HeaderName, HeaderValue};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// Says how a source stands. Of the several standings of a batch, the one with the least left says it for its class.
pub(crate) fn say(
    headers: &mut HeaderMap,
    standings: &(impl Iterator<Item = RateStanding> + Clone),
) {
    let (mut policy, mut left) = (String::new(), String::new());
    for class in [RateClass::Normal, RateClass::Critical] {
        let of_class = standings.clone().filter(|standing| standing.class == class);
        let Some(least) = of_class.min_by_key(|standing| standing.grant.remaining) else {
            continue;
        };
        let separator = if policy.is_empty() { "" } else { ", " };
        let class = class.as_str();
        let (size, window) = (least.quota.requests(), seconds(least.quota.window()));
        let (remaining, reset) = (least.grant.remaining, seconds(least.grant.reset));
        // Writing to a text does not fail.
        _ = write!(policy, r#"{separator}"{class}";q={size};w={window}"#);
        _ = write!(left, r#"{separator}"{class}";r={remaining};t={reset}"#);
    }
    for (name, text) in [(POLICY, policy), (STANDING, left)] {
        if let Ok(value) = HeaderValue::try_from(text)
            && !value.is_empty()
        {
            headers.insert(name, value);
        }
    }
}

/// Whole seconds, none too few.
pub(crate) fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
