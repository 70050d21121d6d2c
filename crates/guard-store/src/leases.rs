//! Leases: rows, because a session's lock would not outlive a statement behind a pooler in transaction mode.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{Lease, Leases, StorageError};
use tracing::instrument;

use crate::row::micros;
use crate::store::Store;

#[async_trait]
impl Leases for Store {
    #[instrument(name = "db.lease.acquire", level = "debug", skip_all)]
    async fn try_acquire(
        &self,
        name: &str,
        owner: &str,
        lasts: Duration,
    ) -> Result<Option<Lease>, StorageError> {
        let mut session = self.database.begin().await?;
        let now = self.clock.now();
        // Of several at once one inserts or updates; the others wait for it, and find the row as it left it.
        let epoch: Option<i64> = session
            .query(
                "INSERT INTO leases (name, owner, epoch, until) VALUES ($1, $2, 1, $3)
                 ON CONFLICT (name) DO UPDATE
                     SET owner = excluded.owner, epoch = leases.epoch + 1, until = excluded.until
                     WHERE leases.until <= $4
                 RETURNING epoch",
            )
            .bind(name)
            .bind(owner)
            .bind(end(now, lasts))
            .bind(micros(now))
            .optional_scalar()
            .await?;
        let Some(epoch) = epoch else {
            return session.give_up(None).await;
        };
        session.commit().await?;
        Ok(Some(Lease {
            name: name.to_owned(),
            owner: owner.to_owned(),
            epoch: u64::try_from(epoch).unwrap_or_default(),
        }))
    }

    #[instrument(name = "db.lease.renew", level = "debug", skip_all)]
    async fn renew(&self, lease: &Lease, lasts: Duration) -> Result<bool, StorageError> {
        // One that has ended and that nobody has taken is still its holder's.
        let renew = "UPDATE leases SET until = $4 WHERE name = $1 AND owner = $2 AND epoch = $3";
        self.change(lease, renew, end(self.clock.now(), lasts))
            .await
    }

    #[instrument(name = "db.lease.release", level = "debug", skip_all)]
    async fn release(&self, lease: &Lease) -> Result<bool, StorageError> {
        // The epoch goes on, so that what was released cannot be renewed.
        let release = "UPDATE leases SET until = $4, epoch = epoch + 1
             WHERE name = $1 AND owner = $2 AND epoch = $3";
        self.change(lease, release, micros(self.clock.now())).await
    }
}

impl Store {
    async fn change(
        &self,
        lease: &Lease,
        statement: &'static str,
        until: i64,
    ) -> Result<bool, StorageError> {
        let mut session = self.database.begin().await?;
        let changed = session
            .query(statement)
            .bind(lease.name.as_str())
            .bind(lease.owner.as_str())
            .bind(i64::try_from(lease.epoch).unwrap_or(i64::MAX))
            .bind(until)
            .execute()
            .await?;
        session.commit().await?;
        Ok(changed == 1)
    }
}

fn end(now: DateTime<Utc>, lasts: Duration) -> i64 {
    let lasts = TimeDelta::from_std(lasts).unwrap_or(TimeDelta::MAX);
    now.checked_add_signed(lasts).map_or(i64::MAX, micros)
}
