//! What every adapter of the port of rate limits must do.
//!
//! [`rate_limiter_contract!`](crate::rate_limiter_contract) makes one test of each case; an adapter's test gives a function that
//! makes a fresh limiter and a way to let time pass.

use std::num::NonZeroU32;
use std::time::Duration;

use guard_app::ports::{
    MAX_TRACKED_SOURCES, RateClass, RateDemand, RateGrant, RateLimiter, RateQuota,
};
use guard_domain::{Source, TenantId};

use crate::tenant;

/// Makes one test of each case. `$fresh().await` gives `(limiter, wait)`: the adapter, and a function that lets a [`Duration`]
/// pass.
#[macro_export]
macro_rules! rate_limiter_contract {
    ($fresh:path) => {
        $crate::rate_limiter_contract!($fresh;
            a_bucket_gives_its_size_and_is_refilled,
            a_part_is_granted_where_not_all_can_be,
            critical_events_have_a_bucket_of_their_own,
            demands_are_granted_in_their_order,
            tenants_and_sources_do_not_share,
            beyond_the_tracked_sources_one_bucket_is_shared,
            a_shorter_window_holds_at_once,
        );
    };
    ($fresh:path; $($case:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                let (limiter, wait) = $fresh().await;
                $crate::rate_limits::$case(&*limiter, wait).await;
            }
        )*
    };
}

/// A bucket that is not refilled while a test runs.
const SLOW: Duration = Duration::from_secs(3600);

fn quota(requests: u32, window: Duration) -> RateQuota {
    RateQuota::new(NonZeroU32::new(requests).unwrap(), window).unwrap()
}

/// Takes from one bucket of the tenant `default`.
async fn take(
    limiter: &dyn RateLimiter,
    source: &str,
    class: RateClass,
    requests: u32,
    quota: RateQuota,
) -> RateGrant {
    let source = Source::parse(source).unwrap();
    let demand = RateDemand {
        source: &source,
        class,
        requests,
        quota,
        named: false,
    };
    one(limiter, &TenantId::default_tenant(), demand).await
}

async fn one(limiter: &dyn RateLimiter, tenant: &TenantId, demand: RateDemand<'_>) -> RateGrant {
    let grants = limiter.take(tenant, &[demand]).await;
    assert_eq!(grants.len(), 1);
    grants[0]
}

#[track_caller]
fn about(found: Duration, expected: Duration) {
    // Redis goes on while it is asked.
    let tolerance = Duration::from_millis(500);
    assert!(
        found <= expected && found + tolerance >= expected,
        "{found:?} is not {expected:?}"
    );
}

pub async fn a_bucket_gives_its_size_and_is_refilled(
    limiter: &dyn RateLimiter,
    wait: impl AsyncFn(Duration),
) {
    let normal = RateClass::Normal;
    let quota = quota(4, Duration::from_secs(4));
    for left in [3, 2, 1, 0] {
        let grant = take(limiter, "a", normal, 1, quota).await;
        assert_eq!((grant.granted, grant.remaining), (1, left));
        about(grant.reset, Duration::from_secs(4 - u64::from(left)));
    }
    let refused = take(limiter, "a", normal, 1, quota).await;
    assert_eq!((refused.granted, refused.remaining), (0, 0));
    about(refused.reset, Duration::from_secs(4));
    about(refused.retry_after, Duration::from_secs(1));
    wait(refused.retry_after).await;
    assert_eq!(take(limiter, "a", normal, 1, quota).await.granted, 1);
    assert_eq!(take(limiter, "a", normal, 1, quota).await.granted, 0);
    wait(Duration::from_secs(5)).await;
    assert_eq!(
        take(limiter, "a", normal, 9, quota).await.granted,
        4,
        "a bucket holds no more than its size"
    );
}

pub async fn a_part_is_granted_where_not_all_can_be(
    limiter: &dyn RateLimiter,
    _: impl AsyncFn(Duration),
) {
    let quota = quota(10, SLOW);
    let first = take(limiter, "a", RateClass::Normal, 7, quota).await;
    assert_eq!((first.granted, first.remaining), (7, 3));
    assert_eq!(first.retry_after, Duration::ZERO);
    let part = take(limiter, "a", RateClass::Normal, 7, quota).await;
    assert_eq!((part.granted, part.remaining), (3, 0));
    about(part.retry_after, SLOW / 10);
    let none = take(limiter, "a", RateClass::Normal, 7, quota).await;
    assert_eq!((none.granted, none.remaining), (0, 0));
}

pub async fn critical_events_have_a_bucket_of_their_own(
    limiter: &dyn RateLimiter,
    _: impl AsyncFn(Duration),
) {
    let quota = quota(2, SLOW);
    assert_eq!(
        take(limiter, "a", RateClass::Normal, 3, quota)
            .await
            .granted,
        2
    );
    let critical = take(limiter, "a", RateClass::Critical, 1, quota).await;
    assert_eq!((critical.granted, critical.remaining), (1, 1));
    assert_eq!(
        take(limiter, "a", RateClass::Normal, 1, quota)
            .await
            .granted,
        0
    );
}

pub async fn demands_are_granted_in_their_order(
    limiter: &dyn RateLimiter,
    _: impl AsyncFn(Duration),
) {
    let [a, b] = ["a", "b"].map(|source| Source::parse(source).unwrap());
    let demand = |source, class, requests, size| RateDemand {
        source,
        class,
        requests,
        quota: quota(size, SLOW),
        named: false,
    };
    let demands = [
        demand(&a, RateClass::Normal, 5, 3),
        demand(&b, RateClass::Critical, 1, 7),
        demand(&a, RateClass::Critical, 2, 3),
    ];
    let grants = limiter.take(&TenantId::default_tenant(), &demands).await;
    let seen: Vec<_> = grants
        .iter()
        .map(|grant| (grant.granted, grant.remaining))
        .collect();
    assert_eq!(seen, [(3, 0), (1, 6), (2, 1)]);
}

pub async fn tenants_and_sources_do_not_share(
    limiter: &dyn RateLimiter,
    _: impl AsyncFn(Duration),
) {
    for name in ["acme", "other"] {
        for source in ["a", "b", "a b", "ä:{x}"] {
            let source = Source::parse(source).unwrap();
            let demand = RateDemand {
                source: &source,
                class: RateClass::Normal,
                requests: 2,
                quota: quota(1, SLOW),
                named: false,
            };
            let grant = one(limiter, &tenant(name), demand).await;
            assert_eq!(grant.granted, 1, "{name} {source:?}");
        }
    }
}

pub async fn beyond_the_tracked_sources_one_bucket_is_shared(
    limiter: &dyn RateLimiter,
    wait: impl AsyncFn(Duration),
) {
    let default = TenantId::default_tenant();
    let sources: Vec<Source> = (0..MAX_TRACKED_SOURCES)
        .map(|number| Source::parse(&format!("s{number}")).unwrap())
        .collect();
    let demand = |source| RateDemand {
        source,
        class: RateClass::Normal,
        requests: 1,
        quota: quota(2, Duration::from_secs(4)),
        named: false,
    };
    let demands: Vec<_> = sources.iter().map(demand).collect();
    let grants = limiter.take(&default, &demands).await;
    assert!(grants.iter().all(|grant| grant.granted == 1));
    let [x, y, z, named] = ["x", "y", "z", "n"].map(|source| Source::parse(source).unwrap());
    assert_eq!(one(limiter, &default, demand(&x)).await.remaining, 1);
    assert_eq!(one(limiter, &default, demand(&y)).await.remaining, 0);
    assert_eq!(one(limiter, &default, demand(&z)).await.granted, 0);
    let critical = RateDemand {
        class: RateClass::Critical,
        ..demand(&z)
    };
    assert_eq!(one(limiter, &default, critical).await.remaining, 1);
    let known = one(limiter, &default, demand(&sources[0])).await;
    assert_eq!(known.remaining, 0, "who is tracked keeps its bucket");
    let configured = RateDemand {
        named: true,
        ..demand(&named)
    };
    assert_eq!(one(limiter, &default, configured).await.remaining, 1);
    let elsewhere = one(limiter, &tenant("acme"), demand(&z)).await;
    assert_eq!(elsewhere.remaining, 1, "each tenant has its own");
    wait(Duration::from_secs(5)).await;
    let late = one(limiter, &default, demand(&z)).await;
    assert_eq!(late.remaining, 1, "who is idle is forgotten");
    let bucket = one(limiter, &default, demand(&y)).await;
    assert_eq!(bucket.remaining, 1, "z does not share with y any more");
}

pub async fn a_shorter_window_holds_at_once(
    limiter: &dyn RateLimiter,
    wait: impl AsyncFn(Duration),
) {
    let (class, short) = (RateClass::Normal, quota(2, Duration::from_secs(2)));
    let all = take(limiter, "a", class, 3, quota(3, SLOW)).await;
    assert_eq!(all.granted, 3);
    let next = take(limiter, "a", class, 1, short).await;
    assert_eq!(
        (next.granted, next.reset <= short.window()),
        (0, true),
        "{next:?}"
    );
    wait(Duration::from_millis(1100)).await;
    let next = take(limiter, "a", class, 1, short).await;
    assert_eq!(next.granted, 1, "{next:?}");
}
