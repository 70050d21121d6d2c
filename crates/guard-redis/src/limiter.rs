//! The limiter: Redis while it answers, another while it does not.

use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use guard_app::metric;
use guard_app::ports::{RateDemand, RateGrant, RateLimiter};
use guard_domain::TenantId;
use tokio::time::timeout;

use crate::address::RedisAddress;
use crate::connection::Connection;
use crate::script::grants;

/// How long to leave Redis alone before looking again whether it is there.
const RETRY: Duration = Duration::from_secs(1);
/// How long connecting may take: nobody waits for it but the start.
const CONNECT: Duration = Duration::from_secs(2);

/// Counts in Redis. From the first call that fails or takes too long on, `fallback` is asked at once, until a connection that is
/// made in the background has proved to work.
pub struct RedisRateLimiter {
    address: RedisAddress,
    patience: Duration,
    fallback: Arc<dyn RateLimiter>,
    connection: ArcSwapOption<Connection>,
    this: Weak<Self>,
}

impl RedisRateLimiter {
    /// A limiter on a server that may be away, now and later. No request waits for it longer than `patience`.
    pub async fn start(
        address: RedisAddress,
        patience: Duration,
        fallback: Arc<dyn RateLimiter>,
    ) -> Arc<Self> {
        let limiter = Arc::new_cyclic(|this| Self {
            address,
            patience,
            fallback,
            connection: ArcSwapOption::empty(),
            this: this.clone(),
        });
        if let Err(why) = limiter.connect().await {
            limiter.warn(&why);
            limiter.reconnect();
        }
        limiter
    }

    async fn connect(&self) -> Result<(), String> {
        match timeout(CONNECT, Connection::open(&self.address.0)).await {
            Ok(Ok(connection)) => {
                self.connection.store(Some(Arc::new(connection)));
                Ok(())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no connection within {CONNECT:?}")),
        }
    }

    /// Looks for Redis until it is there, or nobody needs it any more.
    fn reconnect(&self) {
        let this = self.this.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(RETRY).await;
                let Some(limiter) = this.upgrade() else {
                    return;
                };
                match limiter.connect().await {
                    Ok(()) => {
                        tracing::info!(redis = %limiter.address, "Redis is back: rate limits are shared again");
                        return;
                    }
                    Err(why) => tracing::debug!(why, "Redis is still away"),
                }
            }
        });
    }

    /// Gives a connection up that failed. Many may see it fail; one says so, and looks for another.
    fn give_up(&self, failed: &Arc<Connection>, why: &str) {
        let before = self.connection.compare_and_swap(failed, None);
        if before
            .as_ref()
            .is_some_and(|before| Arc::ptr_eq(before, failed))
        {
            self.warn(why);
            self.reconnect();
        }
    }

    fn warn(&self, why: &str) {
        tracing::warn!(redis = %self.address, why, "Redis is away: each instance counts its rate limits for itself");
    }

    async fn take_in_redis(
        &self,
        connection: &Connection,
        tenant: &TenantId,
        demands: &[RateDemand<'_>],
    ) -> Result<Vec<RateGrant>, String> {
        let mut connection = connection.clone();
        match timeout(self.patience, connection.take(tenant, demands)).await {
            Ok(Ok(answer)) => {
                grants(&answer, demands.len()).ok_or_else(|| format!("the script gave {answer:?}"))
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {:?}", self.patience)),
        }
    }
}

#[async_trait]
impl RateLimiter for RedisRateLimiter {
    async fn take(&self, tenant: &TenantId, demands: &[RateDemand<'_>]) -> Vec<RateGrant> {
        let connection = self.connection.load_full();
        if let Some(connection) = connection {
            match self.take_in_redis(&connection, tenant, demands).await {
                Ok(grants) => return grants,
                Err(why) => self.give_up(&connection, &why),
            }
        }
        metrics::counter!(metric::RATE_LIMITER_FALLBACKS).increment(1);
        self.fallback.take(tenant, demands).await
    }
}
