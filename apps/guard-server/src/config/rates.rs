//! The limits of sources.

use std::num::NonZeroU32;
use std::time::Duration;

use guard_app::RateLimits;
use guard_app::ports::RateQuota;
use guard_domain::{Source, TenantId};
use guard_redis::RedisAddress;

use super::reader::Reader;

impl Reader<'_> {
    /// `redis.url`; an empty one is not set.
    pub(super) fn redis(&mut self) -> Option<RedisAddress> {
        let name = "redis.url";
        self.resolved.get(name).filter(|text| !text.is_empty())?;
        self.optional(name, RedisAddress::parse)
    }

    /// `rate_limit.*`: the limits of all sources, and those of single ones.
    pub(super) fn rate_limits(&mut self) -> Option<RateLimits> {
        let window = self.duration("rate_limit.window")?;
        if let Err(error) = RateQuota::new(NonZeroU32::MIN, window) {
            self.refuse("rate_limit.window", error);
            return None;
        }
        let default = self.optional("rate_limit.requests", |text| quota(text, window))?;
        let mut limits = RateLimits {
            default,
            ..RateLimits::default()
        };
        let name = "rate_limit.overrides";
        for text in self.list(name) {
            match single(&text, window) {
                Ok((Some(tenant), source, quota)) => {
                    let of_tenant = limits.by_tenant.entry(tenant).or_default();
                    of_tenant.insert(source, quota);
                }
                Ok((None, source, quota)) => {
                    limits.by_source.insert(source, quota);
                }
                Err(why) => self.refuse(name, format!("`{text}`: {why}")),
            }
        }
        Some(limits)
    }
}

/// So many in each window; 0 is no limit.
fn quota(text: &str, window: Duration) -> Result<Option<RateQuota>, String> {
    let requests: u32 = text
        .parse()
        .map_err(|_| format!("`{text}` is not a whole number from 0"))?;
    NonZeroU32::new(requests)
        .map(|requests| RateQuota::new(requests, window))
        .transpose()
        .map_err(|error| error.to_string())
}

type Single = (Option<TenantId>, Source, Option<RateQuota>);

/// `source:requests` or `tenant/source:requests`.
fn single(text: &str, window: Duration) -> Result<Single, String> {
    let (whose, requests) = text
        .rsplit_once(':')
        .ok_or("this is not a source and its limit, as sentinel:5000 is")?;
    let (tenant, source) = match whose.split_once('/') {
        Some((tenant, source)) => {
            let tenant = TenantId::parse(tenant).map_err(|error| error.to_string())?;
            (Some(tenant), source)
        }
        None => (None, whose),
    };
    let source = Source::parse(source).map_err(|error| error.to_string())?;
    Ok((tenant, source, quota(requests, window)?))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::config::{Origin, Resolved, Settings};

    fn limits(pairs: &[(&str, &str)]) -> Result<RateLimits, String> {
        let mut resolved = Resolved::defaults();
        for (name, value) in pairs {
            resolved.set(name, *value, Origin::Default);
        }
        let settings = Settings::of(&resolved);
        settings
            .map(|settings| settings.rate_limits)
            .map_err(|error| error.to_string())
    }

    fn requests(count: u32, seconds: u64) -> Option<RateQuota> {
        RateQuota::new(NonZeroU32::new(count)?, Duration::from_secs(seconds)).ok()
    }

    #[test]
    fn limits_are_read_and_0_is_none() {
        assert_eq!(limits(&[]).unwrap().default, requests(1000, 60));
        let text = "sentinel:5000, acme/edge:7:20, acme/a/b:3, probe:0";
        let read = limits(&[
            ("rate_limit.requests", "0"),
            ("rate_limit.window", "10s"),
            ("rate_limit.overrides", text),
        ])
        .unwrap();
        let source = |text| Source::parse(text).unwrap();
        assert_eq!(read.default, None);
        let by_source = [
            (source("sentinel"), requests(5000, 10)),
            (source("probe"), None),
        ];
        assert_eq!(read.by_source, HashMap::from(by_source));
        let of_acme = [
            (source("edge:7"), requests(20, 10)),
            (source("a/b"), requests(3, 10)),
        ];
        let acme = TenantId::parse("acme").unwrap();
        assert_eq!(
            read.by_tenant,
            HashMap::from([(acme, HashMap::from(of_acme))])
        );
    }

    #[test]
    fn what_is_no_limit_is_refused_with_a_word_that_helps() {
        let refused = |name: &str, value: &str, word: &str| {
            let error = limits(&[(name, value)]).unwrap_err();
            assert!(
                error.contains(&format!("`{name}`")) && error.contains(word),
                "{error}"
            );
        };
        refused("rate_limit.requests", "-1", "whole number");
        refused("rate_limit.requests", "60000001", "at most 60000000");
        refused("rate_limit.window", "0", "1s to 1d");
        refused("rate_limit.overrides", "sentinel", "sentinel:5000");
        refused("rate_limit.overrides", "sentinel:many", "whole number");
        refused("rate_limit.overrides", ":5", "1 to 128");
        refused("rate_limit.overrides", "Acme Inc/x:5", "not a slug");
        refused("redis.url", "cache:6379", "redis://host:6379");
        refused("redis.timeout", "0", "cannot be 0");
    }
}
