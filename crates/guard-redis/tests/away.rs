//! Instances that share a Redis, and what they do while it is away.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use guard_app::LocalRateLimiter;
use guard_app::ports::{RateClass, RateDemand, RateGrant, RateLimiter, RateQuota};
use guard_domain::{Source, TenantId};
use guard_redis::{RedisAddress, RedisRateLimiter};
use guard_testkit::FakeClock;
use guard_testkit::redis_server::RedisServer;

const PATIENCE: Duration = Duration::from_millis(100);

/// The local limiter, and how often it was asked.
struct Fallback {
    local: LocalRateLimiter,
    asked: AtomicUsize,
}

#[async_trait]
impl RateLimiter for Fallback {
    async fn take(&self, tenant: &TenantId, demands: &[RateDemand<'_>]) -> Vec<RateGrant> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.local.take(tenant, demands).await
    }
}

/// An instance.
struct Instance {
    limiter: Arc<RedisRateLimiter>,
    fallback: Arc<Fallback>,
}

impl Instance {
    async fn start(url: &str) -> Self {
        let fallback = Arc::new(Fallback {
            local: LocalRateLimiter::new(Arc::new(FakeClock::new())),
            asked: AtomicUsize::new(0),
        });
        let address = RedisAddress::parse(url).unwrap();
        let limiter = RedisRateLimiter::start(address, PATIENCE, fallback.clone()).await;
        Self { limiter, fallback }
    }

    async fn take(&self, requests: u32) -> RateGrant {
        let source = Source::parse("sentinel").unwrap();
        let demand = RateDemand {
            source: &source,
            class: RateClass::Normal,
            requests,
            quota: RateQuota::new(NonZeroU32::new(10).unwrap(), Duration::from_secs(3600)).unwrap(),
            named: false,
        };
        self.limiter
            .take(&TenantId::default_tenant(), &[demand])
            .await[0]
    }

    fn fallbacks(&self) -> usize {
        self.fallback.asked.load(Ordering::Relaxed)
    }

    /// Waits until Redis counts again.
    async fn is_shared_again(&self) {
        let begun = Instant::now();
        loop {
            let before = self.fallbacks();
            self.take(0).await;
            if self.fallbacks() == before {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(15), "it stays away");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn server() -> RedisServer {
    RedisServer::start().unwrap_or_else(|why| panic!("{why}"))
}

#[tokio::test]
async fn instances_count_together() {
    let redis = server();
    let [one, two] = [
        Instance::start(&redis.url()).await,
        Instance::start(&redis.url()).await,
    ];
    assert_eq!(one.take(6).await.remaining, 4);
    assert_eq!(two.take(6).await.granted, 4);
    assert_eq!(one.take(1).await.granted, 0);
    assert_eq!(one.fallbacks() + two.fallbacks(), 0);
}

#[tokio::test]
async fn a_killed_redis_costs_no_request_and_comes_back() {
    let mut redis = server();
    let instance = Instance::start(&redis.url()).await;
    assert_eq!(instance.take(10).await.granted, 10);
    redis.kill();
    let begun = Instant::now();
    assert_eq!(instance.take(4).await.remaining, 6, "counted here");
    assert_eq!(instance.take(1).await.remaining, 5);
    assert!(begun.elapsed() < PATIENCE * 20, "{:?}", begun.elapsed());
    assert_eq!(instance.fallbacks(), 2);
    redis.start_again().unwrap();
    instance.is_shared_again().await;
    assert_eq!(instance.take(1).await.remaining, 9, "an empty Redis");
}

#[tokio::test]
async fn a_frozen_redis_is_waited_for_once() {
    let redis = server();
    let instance = Instance::start(&redis.url()).await;
    redis.freeze();
    let begun = Instant::now();
    instance.take(1).await;
    let first = begun.elapsed();
    assert!((PATIENCE..PATIENCE * 20).contains(&first), "{first:?}");
    let begun = Instant::now();
    for _ in 0..1000 {
        instance.take(1).await;
    }
    assert!(begun.elapsed() < PATIENCE * 50, "{:?}", begun.elapsed());
    assert_eq!(instance.fallbacks(), 1001);
    redis.thaw();
    instance.is_shared_again().await;
}

#[tokio::test]
async fn a_redis_that_is_away_at_the_start_is_found_later() {
    let mut redis = server();
    redis.kill();
    let instance = Instance::start(&redis.url()).await;
    assert_eq!(instance.take(3).await.remaining, 7);
    redis.start_again().unwrap();
    instance.is_shared_again().await;
    assert_eq!(instance.take(1).await.remaining, 9);
}

#[tokio::test]
async fn scripts_that_were_flushed_are_brought_back() {
    let redis = server();
    let instance = Instance::start(&redis.url()).await;
    instance.take(1).await;
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let flush = redis::cmd("SCRIPT").arg("FLUSH").clone();
    flush.query_async::<()>(&mut connection).await.unwrap();
    assert_eq!(instance.take(1).await.remaining, 8);
    assert_eq!(instance.fallbacks(), 0);
}

#[tokio::test]
async fn keys_expire() {
    let redis = server();
    let instance = Instance::start(&redis.url()).await;
    instance.take(1).await;
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert!(keys.len() >= 2, "{keys:?}");
    for key in keys {
        assert!(key.starts_with("neural-guard:rate:"), "{key}");
        let left: i64 = redis::cmd("PTTL")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        // -1: it stays for ever; -2: it has gone in the meantime, as the probe may.
        assert!(left != -1 && left <= 3_600_000, "{key}: {left}");
    }
}

#[tokio::test]
async fn tls_to_a_server_without_it_is_only_a_fallback() {
    let redis = server();
    let instance = Instance::start(&redis.url().replace("redis://", "rediss://")).await;
    assert_eq!(instance.take(1).await.remaining, 9);
    assert_eq!(instance.fallbacks(), 1);
}
