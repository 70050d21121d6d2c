//! Letting go of what is old.
//!
//! Everything goes by the time inside its id, up to one moment, the floor: the beginning of the first day that stays. What
//! belongs together goes together: events first, then the records about them, then executions and escalations, then the
//! links of the audit chain. PostgreSQL drops days, SQLite deletes a few rows at a time.

mod days;
mod rows;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{Dropped, Retention, StorageError};
use tracing::instrument;
use uuid::Uuid;

use crate::database::Session;
use crate::partitions::midnight;
use crate::store::Store;
pub(crate) use rows::chains;
use rows::{BOTH, CHECKPOINTS, SPANS, SQLITE};

#[async_trait]
impl Retention for Store {
    async fn prepare_days(&self) -> Result<(), StorageError> {
        self.make_partitions().await
    }

    async fn floor(&self, kept: TimeDelta) -> Result<DateTime<Utc>, StorageError> {
        let latest = midnight(self.clock.now() - kept);
        floor(&mut self.database.reader().await?, latest).await
    }

    #[instrument(name = "db.retention.drop_old", level = "debug", skip_all)]
    async fn drop_old(&self, floor: DateTime<Utc>, limit: u32) -> Result<Dropped, StorageError> {
        let mut dropped = Dropped::default();
        let mut floor = floor;
        if self.database.is_shared() {
            floor = self.drop_days(floor, &mut dropped).await?;
        } else {
            for table in SQLITE {
                if self.delete_rows(table, floor, limit, &mut dropped).await? {
                    return Ok(dropped);
                }
            }
        }
        for table in BOTH {
            if self.delete_rows(table, floor, limit, &mut dropped).await? {
                return Ok(dropped);
            }
        }
        self.delete_timed(&SPANS, floor, limit, &mut dropped)
            .await?;
        self.delete_links(floor, limit, &mut dropped).await?;
        self.delete_timed(&CHECKPOINTS, floor, limit, &mut dropped)
            .await?;
        Ok(dropped)
    }
}

/// The floor: `latest`, or the beginning of the day of the first event whose execution has not ended.
async fn floor(
    session: &mut Session,
    latest: DateTime<Utc>,
) -> Result<DateTime<Utc>, StorageError> {
    let mut floor = latest;
    for tenant in rows::tenants(session, rows::EXECUTIONS).await? {
        let first: Option<Uuid> = session
            .query(
                "SELECT event_id FROM rule_executions
                 WHERE tenant = $1 AND state IN ('queued', 'dispatching', 'acknowledged', 'started',
                                                 'awaiting_approval', 'awaiting_acknowledgement')
                 ORDER BY event_id LIMIT 1",
            )
            .bind(tenant.as_str())
            .optional_scalar()
            .await?;
        floor = first.map_or(floor, |first| floor.min(midnight(time_inside(first))));
    }
    Ok(floor)
}

/// The milliseconds since the Unix epoch are the first 48 bits of a version 7 UUID.
fn time_inside(id: Uuid) -> DateTime<Utc> {
    let millis = i64::try_from(id.as_u128() >> 80).unwrap_or(i64::MAX);
    DateTime::from_timestamp_millis(millis).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
