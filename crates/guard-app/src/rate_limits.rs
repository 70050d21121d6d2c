//! How many events each source may send.

use std::collections::HashMap;
use std::sync::Arc;

use guard_domain::{Event, Source, TenantId};

use crate::metric;
use crate::ports::{RateClass, RateDemand, RateGrant, RateLimiter, RateQuota, TenantLimits};
use crate::tenants::TenantBook;

/// The quotas of sources by the configuration; without one a source is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Of every source that is not named.
    pub default: Option<RateQuota>,
    /// Of single sources, whichever the tenant.
    pub by_source: HashMap<Source, Option<RateQuota>>,
    /// Of single sources of single tenants.
    pub by_tenant: HashMap<TenantId, HashMap<Source, Option<RateQuota>>>,
}

impl RateLimits {
    /// The quota of a source, and whether it is named.
    fn of(&self, tenant: &TenantId, source: &Source) -> (Option<RateQuota>, bool) {
        let of_tenant = self.by_tenant.get(tenant);
        let named = of_tenant
            .and_then(|sources| sources.get(source))
            .or_else(|| self.by_source.get(source));
        (named.copied().unwrap_or(self.default), named.is_some())
    }

    /// The quota of a source of a tenant that has limits of its own, and whether it is named: the closest holds.
    fn below(
        &self,
        own: &TenantLimits,
        tenant: &TenantId,
        source: &Source,
    ) -> (Option<RateQuota>, bool) {
        let (configured, named) = self.of(tenant, source);
        match (own.sources.get(source), own.rate_limit) {
            (Some(limit), _) => (limit.quota(), true),
            (None, Some(limit)) => (limit.quota(), named),
            (None, None) => (configured, named),
        }
    }
}

/// How a source stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateStanding {
    /// Which of its buckets the request was taken from.
    pub class: RateClass,
    /// The size of the bucket.
    pub quota: RateQuota,
    /// What is left in it.
    pub grant: RateGrant,
}

impl RateStanding {
    const fn after(demand: &RateDemand<'_>, grant: RateGrant) -> Self {
        Self {
            class: demand.class,
            quota: demand.quota,
            grant,
        }
    }
}

/// How the source of an event stands, `None` if it is not limited; an error if the event is refused.
pub(crate) type Admission = Result<Option<RateStanding>, RateStanding>;

/// The admission of the event of this number, from 0, among those that asked for the grant.
fn admission(standing: RateStanding, number: usize) -> Admission {
    let granted = usize::try_from(standing.grant.granted);
    if granted.is_ok_and(|granted| number < granted) {
        Ok(Some(standing))
    } else {
        Err(standing)
    }
}

fn count_refused(demand: &RateDemand<'_>, grant: RateGrant) {
    let refused = demand.requests.saturating_sub(grant.granted);
    if refused > 0 {
        let class = demand.class.as_str();
        metric::add(metric::RATE_LIMITED, "class", class, refused.into());
    }
}

/// Holds events to the limits of their sources.
pub struct RateGate {
    /// The quotas by the configuration.
    pub limits: RateLimits,
    /// Those of tenants of their own.
    pub tenants: Arc<TenantBook>,
    /// Counts.
    pub limiter: Arc<dyn RateLimiter>,
}

/// The events of one source and class among others.
struct Group<'a> {
    demand: RateDemand<'a>,
    places: Vec<usize>,
}

impl RateGate {
    /// Counts one event.
    pub(crate) async fn admit(&self, tenant: &TenantId, event: &Event) -> Admission {
        let Some(demand) = self.demand(tenant, event) else {
            return Ok(None);
        };
        match self.limiter.take(tenant, &[demand]).await.first() {
            Some(grant) => {
                count_refused(&demand, *grant);
                admission(RateStanding::after(&demand, *grant), 0)
            }
            None => Ok(None),
        }
    }

    /// Counts the events of a batch; gives an admission for each, in their order. Of a source that sends more than it may, the
    /// first get through.
    pub(crate) async fn admit_all<'a>(
        &self,
        tenant: &TenantId,
        events: impl ExactSizeIterator<Item = Option<&'a Event>>,
    ) -> Vec<Admission> {
        let mut admissions = vec![Ok(None); events.len()];
        let groups = self.group(tenant, events);
        if groups.is_empty() {
            return admissions;
        }
        let demands: Vec<RateDemand<'_>> = groups.iter().map(|group| group.demand).collect();
        let grants = self.limiter.take(tenant, &demands).await;
        for (group, grant) in groups.iter().zip(grants) {
            let standing = RateStanding::after(&group.demand, grant);
            for (number, place) in group.places.iter().enumerate() {
                if let Some(entry) = admissions.get_mut(*place) {
                    *entry = admission(standing, number);
                }
            }
            count_refused(&group.demand, grant);
        }
        admissions
    }

    /// The demands of all events, those of one source and class in one.
    fn group<'a>(
        &self,
        tenant: &TenantId,
        events: impl Iterator<Item = Option<&'a Event>>,
    ) -> Vec<Group<'a>> {
        let mut groups: Vec<Group<'a>> = Vec::new();
        let mut known: HashMap<(&Source, RateClass), usize> = HashMap::new();
        for (place, event) in events.enumerate() {
            let Some(demand) = event.and_then(|event| self.demand(tenant, event)) else {
                continue;
            };
            let key = (demand.source, demand.class);
            let index = *known.entry(key).or_insert(groups.len());
            if let Some(group) = groups.get_mut(index) {
                group.demand.requests += 1;
                group.places.push(place);
                continue;
            }
            groups.push(Group {
                demand,
                places: vec![place],
            });
        }
        groups
    }

    /// What one event takes.
    fn demand<'a>(&self, tenant: &TenantId, event: &'a Event) -> Option<RateDemand<'a>> {
        let source = event.source();
        let below = |own: &TenantLimits| self.limits.below(own, tenant, source);
        let own = self.tenants.with_limits(tenant, below);
        let (quota, named) = own.unwrap_or_else(|| self.limits.of(tenant, source));
        Some(RateDemand {
            source,
            class: RateClass::of(event.severity()),
            requests: 1,
            quota: quota?,
            named,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::ports::SourceLimit;

    #[test]
    fn the_closest_quota_holds() {
        let quota = |requests| {
            let requests = NonZeroU32::new(requests).unwrap();
            RateQuota::new(requests, Duration::from_secs(60)).ok()
        };
        let source = |text| Source::parse(text).unwrap();
        let (acme, other) = (TenantId::parse("acme").unwrap(), TenantId::default_tenant());
        let limits = RateLimits {
            default: quota(10),
            by_source: HashMap::from([(source("loud"), quota(20)), (source("free"), None)]),
            by_tenant: HashMap::from([(
                acme.clone(),
                HashMap::from([(source("loud"), quota(30))]),
            )]),
        };
        assert_eq!(limits.of(&acme, &source("loud")), (quota(30), true));
        assert_eq!(limits.of(&other, &source("loud")), (quota(20), true));
        assert_eq!(limits.of(&acme, &source("free")), (None, true));
        assert_eq!(limits.of(&acme, &source("some")), (quota(10), false));

        let limit = |requests| SourceLimit::Quota(quota(requests).unwrap());
        let mut own = TenantLimits {
            rate_limit: None,
            sources: [
                (source("loud"), limit(40)),
                (source("some"), SourceLimit::Unlimited),
            ]
            .into(),
        };
        let below = |own: &TenantLimits, name| limits.below(own, &acme, &source(name));
        assert_eq!(below(&own, "loud"), (quota(40), true));
        assert_eq!(below(&own, "some"), (None, true));
        assert_eq!(below(&own, "other"), (quota(10), false), "as configured");
        own.rate_limit = Some(limit(5));
        assert_eq!(below(&own, "loud"), (quota(40), true));
        assert_eq!(below(&own, "other"), (quota(5), false));
        assert_eq!(
            below(&own, "free"),
            (quota(5), true),
            "it keeps buckets of its own"
        );
        own.rate_limit = Some(SourceLimit::Unlimited);
        assert_eq!(below(&own, "other"), (None, false));
    }
}
