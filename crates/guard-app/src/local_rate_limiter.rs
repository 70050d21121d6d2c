//! Rate limits of this process alone.

mod bucket;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use guard_domain::{Source, TenantId};

use crate::ports::{Clock, MAX_TRACKED_SOURCES, RateClass, RateDemand, RateGrant, RateLimiter};
use bucket::Bucket;

/// How long a tenant whose sources are all busy is left alone before idle ones are looked for again, in microseconds.
const SWEEP_INTERVAL: i64 = 1_000_000;

/// Counts in the memory of this process. Who takes from a bucket that is there takes no lock and allocates nothing but the
/// answer: the maps are snapshots that are replaced when a source comes or goes, a bucket is one atomic number.
pub struct LocalRateLimiter {
    clock: Arc<dyn Clock>,
    tenants: ArcSwap<HashMap<TenantId, Arc<Tenant>>>,
    growing: Mutex<()>,
}

impl LocalRateLimiter {
    /// A limiter whose buckets are full.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            tenants: ArcSwap::default(),
            growing: Mutex::default(),
        }
    }

    fn tenant(&self, id: &TenantId) -> Arc<Tenant> {
        if let Some(tenant) = self.tenants.load().get(id) {
            return tenant.clone();
        }
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tenants = HashMap::clone(&self.tenants.load());
        let tenant = tenants.entry(id.clone()).or_default().clone();
        self.tenants.store(Arc::new(tenants));
        tenant
    }
}

#[async_trait]
impl RateLimiter for LocalRateLimiter {
    async fn take(&self, tenant: &TenantId, demands: &[RateDemand<'_>]) -> Vec<RateGrant> {
        let now = self.clock.now().timestamp_micros();
        let tenant = self.tenant(tenant);
        let take = |demand: &RateDemand<'_>| {
            let buckets = tenant.buckets(demand, now);
            let buckets = buckets.as_deref().unwrap_or(&tenant.overflow);
            buckets
                .of(demand.class)
                .take(now, demand.requests, demand.quota)
        };
        demands.iter().map(take).collect()
    }
}

/// The two buckets of a source.
#[derive(Default)]
struct Buckets {
    normal: Bucket,
    critical: Bucket,
}

impl Buckets {
    const fn of(&self, class: RateClass) -> &Bucket {
        match class {
            RateClass::Normal => &self.normal,
            RateClass::Critical => &self.critical,
        }
    }

    /// Whether both are full: then nothing is lost with them.
    fn are_idle(&self, now: i64) -> bool {
        self.normal.is_full(now) && self.critical.is_full(now)
    }
}

type Sources = ArcSwap<HashMap<Arc<str>, Arc<Buckets>>>;

#[derive(Default)]
struct Tenant {
    tracked: Sources,
    /// The sources that the configuration and the tenant's own limits name.
    named: Sources,
    overflow: Buckets,
    growing: Mutex<()>,
    next_sweep: AtomicI64,
}

impl Tenant {
    /// The buckets of a source, or `None` if it shares those of the overflow.
    fn buckets(&self, demand: &RateDemand<'_>, now: i64) -> Option<Arc<Buckets>> {
        let sources = if demand.named {
            &self.named
        } else {
            &self.tracked
        };
        let known = sources.load();
        if let Some(buckets) = known.get(demand.source.as_str()) {
            return Some(buckets.clone());
        }
        let has_room = demand.named || known.len() < MAX_TRACKED_SOURCES;
        if !has_room && now < self.next_sweep.load(Ordering::Relaxed) {
            return None;
        }
        self.track(sources, demand.source, demand.named, now)
    }

    /// Makes room if there is none, and buckets for a source.
    fn track(
        &self,
        sources: &Sources,
        source: &Source,
        named: bool,
        now: i64,
    ) -> Option<Arc<Buckets>> {
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = HashMap::clone(&sources.load());
        if known.len() >= MAX_TRACKED_SOURCES {
            // Who takes from buckets in the very moment in which they are forgotten gets that much more.
            known.retain(|_, buckets| !buckets.are_idle(now));
            // Of named ones there are no more than somebody has named and has sent of late.
            if !named && known.len() >= MAX_TRACKED_SOURCES {
                self.next_sweep
                    .store(now.saturating_add(SWEEP_INTERVAL), Ordering::Relaxed);
                return None;
            }
        }
        let buckets = known.entry(source.as_str().into()).or_default().clone();
        sources.store(Arc::new(known));
        Some(buckets)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use chrono::{DateTime, Utc};

    use super::*;
    use crate::ports::RateQuota;

    struct Stopped(AtomicI64);

    impl Clock for Stopped {
        fn now(&self) -> DateTime<Utc> {
            DateTime::from_timestamp_micros(self.0.load(Ordering::Relaxed)).unwrap()
        }
    }

    async fn take(limiter: &LocalRateLimiter, source: &str, named: bool) -> u32 {
        let source = Source::parse(source).unwrap();
        let demand = RateDemand {
            source: &source,
            class: RateClass::Normal,
            requests: 1,
            quota: RateQuota::new(NonZeroU32::MIN, Duration::from_secs(10)).unwrap(),
            named,
        };
        let tenant = TenantId::default_tenant();
        limiter.take(&tenant, &[demand]).await[0].granted
    }

    #[tokio::test]
    async fn memory_is_bounded_and_idle_sources_are_forgotten() {
        let clock = Arc::new(Stopped(AtomicI64::new(1_000_000)));
        let limiter = LocalRateLimiter::new(clock.clone());
        let tracked = || {
            let tenant = limiter.tenant(&TenantId::default_tenant());
            let (tracked, named) = (tenant.tracked.load().len(), tenant.named.load().len());
            (tracked, named)
        };
        for number in 0..3 * MAX_TRACKED_SOURCES {
            let granted = take(&limiter, &format!("s{number}"), false).await;
            let expected = u32::from(number <= MAX_TRACKED_SOURCES);
            assert_eq!(granted, expected, "{number}: the rest share one bucket");
        }
        assert_eq!(tracked(), (MAX_TRACKED_SOURCES, 0));
        assert_eq!(take(&limiter, "named", true).await, 1);
        assert_eq!(tracked(), (MAX_TRACKED_SOURCES, 1));
        clock.0.fetch_add(10_000_000, Ordering::Relaxed);
        assert_eq!(take(&limiter, "late", false).await, 1);
        assert_eq!(tracked(), (1, 1), "all others are idle");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_at_once_get_what_there_is_and_no_more() {
        let clock = Arc::new(Stopped(AtomicI64::new(0)));
        let limiter = Arc::new(LocalRateLimiter::new(clock));
        let tasks = (0..8).map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                let source = Source::parse("sentinel").unwrap();
                let quota = RateQuota::new(NonZeroU32::new(1000).unwrap(), Duration::from_secs(60));
                let demand = RateDemand {
                    source: &source,
                    class: RateClass::Critical,
                    requests: 3,
                    quota: quota.unwrap(),
                    named: false,
                };
                let mut granted = 0;
                for _ in 0..100 {
                    let tenant = TenantId::default_tenant();
                    granted += limiter.take(&tenant, &[demand]).await[0].granted;
                }
                granted
            })
        });
        let mut granted = 0;
        for task in tasks.collect::<Vec<_>>() {
            granted += task.await.unwrap();
        }
        assert_eq!(granted, 1000);
    }
}
