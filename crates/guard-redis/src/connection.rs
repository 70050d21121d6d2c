//! A connection that has proved to work.

use guard_app::ports::RateDemand;
use guard_domain::TenantId;
use redis::aio::MultiplexedConnection;
use redis::{Client, ErrorKind, RedisResult, ServerErrorKind, cmd};

use crate::script::{PREFIX, SCRIPT, call};

/// A connection to a server that has the script and can write. Clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    redis: MultiplexedConnection,
    script: String,
}

impl Connection {
    pub(crate) async fn open(client: &Client) -> RedisResult<Self> {
        let mut redis = client.get_multiplexed_async_connection().await?;
        let script = cmd("SCRIPT")
            .arg("LOAD")
            .arg(SCRIPT)
            .query_async(&mut redis)
            .await?;
        // A replica and a server without memory answer, and take nothing.
        cmd("SET")
            .arg(format!("{PREFIX}:probe"))
            .arg(1)
            .arg("PX")
            .arg(1)
            .query_async::<()>(&mut redis)
            .await?;
        Ok(Self { redis, script })
    }

    /// The numbers of the script for some demands.
    pub(crate) async fn take(
        &mut self,
        tenant: &TenantId,
        demands: &[RateDemand<'_>],
    ) -> RedisResult<Vec<i64>> {
        let by_hash = call("EVALSHA", &self.script, tenant, demands);
        match by_hash.query_async(&mut self.redis).await {
            // Somebody has flushed the scripts; this brings it back.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let by_text = call("EVAL", SCRIPT, tenant, demands);
                by_text.query_async(&mut self.redis).await
            }
            answer => answer,
        }
    }
}
