//! The script, and how it is asked.

use std::time::Duration;

use guard_app::ports::{MAX_TRACKED_SOURCES, RateClass, RateDemand, RateGrant};
use guard_domain::TenantId;
use redis::{Cmd, cmd};

/// Takes what the demands want; see its own words.
pub(crate) const SCRIPT: &str = include_str!("script.lua");
/// What all keys begin with.
pub(crate) const PREFIX: &str = "neural-guard:rate";

const CLASSES: [RateClass; 2] = [RateClass::Normal, RateClass::Critical];

/// Calls the script: by its hash with `EVALSHA`, by its text with `EVAL`.
pub(crate) fn call(how: &str, script: &str, tenant: &TenantId, demands: &[RateDemand<'_>]) -> Cmd {
    // The braces keep the keys of a tenant on one node of a cluster.
    let prefix = format!("{PREFIX}:{{{tenant}}}");
    let mut call = cmd(how);
    call.arg(script)
        .arg(1 + CLASSES.len() + demands.len())
        .arg(format!("{prefix}:tracked"));
    for class in CLASSES {
        call.arg(format!("{prefix}:overflow:{}", class.as_str()));
    }
    for RateDemand { class, source, .. } in demands {
        let (class, source) = (class.as_str(), source.as_str());
        call.arg(format!("{prefix}:{class}:{source}"));
    }
    call.arg(MAX_TRACKED_SOURCES);
    for demand in demands {
        let class = match demand.class {
            RateClass::Normal => 1,
            RateClass::Critical => 2,
        };
        call.arg(demand.requests)
            .arg(demand.quota.requests())
            .arg(demand.quota.interval_micros())
            .arg(demand.source.as_str())
            .arg(class)
            .arg(u8::from(demand.named));
    }
    call
}

/// What the script gave; `None` if it is not what it gives.
pub(crate) fn grants(answer: &[i64], demands: usize) -> Option<Vec<RateGrant>> {
    let grants: Option<Vec<RateGrant>> = answer.chunks(4).map(grant).collect();
    grants.filter(|grants| grants.len() == demands)
}

fn grant(numbers: &[i64]) -> Option<RateGrant> {
    let &[granted, remaining, reset, retry_after] = numbers else {
        return None;
    };
    Some(RateGrant {
        granted: granted.try_into().ok()?,
        remaining: remaining.try_into().ok()?,
        reset: Duration::from_micros(reset.try_into().ok()?),
        retry_after: Duration::from_micros(retry_after.try_into().ok()?),
    })
}
