//! The headers that say how a source stands: `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10.

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
    let (mut policy, mut left) = (String::with_capacity(64), String::with_capacity(64));
    for class in [RateClass::Normal, RateClass::Critical] {
        let of_class = standings.clone().filter(|standing| standing.class == class);
        let Some(least) = of_class.min_by_key(|standing| standing.grant.remaining) else {
            continue;
        };
        let (size, window) = (least.quota.requests(), seconds(least.quota.window()));
        let (remaining, reset) = (least.grant.remaining, seconds(least.grant.reset));
        add_item(&mut policy, class, [(";q=", size.into()), (";w=", window)]);
        add_item(
            &mut left,
            class,
            [(";r=", remaining.into()), (";t=", reset)],
        );
    }
    for (name, text) in [(POLICY, policy), (STANDING, left)] {
        if let Ok(value) = HeaderValue::try_from(text)
            && !value.is_empty()
        {
            headers.insert(name, value);
        }
    }
}

/// Adds an item with its parameters to a list of RFC 8941. Every event is answered with two: hence no formatting machinery.
fn add_item(list: &mut String, class: RateClass, parameters: [(&str, u64); 2]) {
    if !list.is_empty() {
        list.push_str(", ");
    }
    list.push('"');
    list.push_str(class.as_str());
    list.push('"');
    let mut digits = itoa::Buffer::new();
    for (name, number) in parameters {
        list.push_str(name);
        list.push_str(digits.format(number));
    }
}

/// Whole seconds, none too few.
pub(crate) fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
