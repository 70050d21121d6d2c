//! Both limiters keep the contract: that of one process and that of many.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use guard_app::LocalRateLimiter;
use guard_redis::{RedisAddress, RedisRateLimiter};
use guard_testkit::FakeClock;
use guard_testkit::redis_server::RedisServer;

mod local {
    use super::*;

    async fn fresh() -> (Arc<LocalRateLimiter>, impl AsyncFn(Duration)) {
        let clock = Arc::new(FakeClock::new());
        let limiter = Arc::new(LocalRateLimiter::new(clock.clone()));
        let wait = async move |time| clock.advance(TimeDelta::from_std(time).unwrap());
        (limiter, wait)
    }

    guard_testkit::rate_limiter_contract!(fresh);
}

mod redis {
    use super::*;

    async fn fresh() -> (Arc<RedisRateLimiter>, impl AsyncFn(Duration)) {
        let server = RedisServer::start().unwrap_or_else(|why| panic!("{why}"));
        let address = RedisAddress::parse(&server.url()).unwrap();
        let nobody = Arc::new(super::Nobody);
        let limiter = RedisRateLimiter::start(address, Duration::from_secs(5), nobody).await;
        // The clock is that of the server.
        let wait = async move |time| {
            let _alive = &server;
            tokio::time::sleep(time).await;
        };
        (limiter, wait)
    }

    guard_testkit::rate_limiter_contract!(fresh);
}

/// A limiter that nobody may ask.
struct Nobody;

#[async_trait::async_trait]
impl guard_app::ports::RateLimiter for Nobody {
    async fn take(
        &self,
        _: &guard_domain::TenantId,
        _: &[guard_app::ports::RateDemand<'_>],
    ) -> Vec<guard_app::ports::RateGrant> {
        panic!("Redis was not asked")
    }
}
