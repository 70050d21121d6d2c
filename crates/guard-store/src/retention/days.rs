//! Dropping the days of PostgreSQL.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use guard_app::ports::{Dropped, StorageError};
use guard_domain::id;

use super::floor;
use crate::database::{Sql, WholeLock};
use crate::error::is_locked;
use crate::partitions::{partition, partition_day};
use crate::store::Store;

/// How long the dropping of a day waits for those who use the table, while all who come later wait for it.
const LOCK_TIMEOUT: &str = "200ms";
/// What is counted of each table that is partitioned: events go first, so that no event is without its records.
const TABLES: [(&str, &str); 2] = [("events", "events_days"), ("audit_log", "audit_log_days")];
const LIST: Sql = Sql {
    sqlite: "",
    postgres: "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
               WHERE i.inhparent = to_regclass($1) ORDER BY c.relname",
};
const DROP: Sql = Sql {
    sqlite: "",
    postgres: "SELECT guard_drop_partition($1, $2, $3, $4)",
};
const WAIT: Sql = Sql {
    sqlite: "",
    postgres: "SELECT set_config('lock_timeout', $1, true)",
};

impl Store {
    /// Drops the days before a moment of which nothing is needed any more. Gives the beginning of the first that stays.
    pub(super) async fn drop_days(
        &self,
        latest: DateTime<Utc>,
        dropped: &mut Dropped,
    ) -> Result<DateTime<Utc>, StorageError> {
        let mut reached = floor(&mut self.database.reader().await?, latest).await?;
        for (table, counted) in TABLES {
            for day in self.days(table).await? {
                let begin = day.and_time(NaiveTime::MIN).and_utc();
                if begin >= reached {
                    break;
                }
                if self.drop_day(table, begin).await? {
                    dropped.add(counted, 1);
                } else {
                    dropped.held_up = true;
                    reached = begin;
                }
            }
        }
        Ok(reached)
    }

    /// The days of a table, from the first on. What others attached to it is left alone.
    async fn days(&self, table: &str) -> Result<Vec<NaiveDate>, StorageError> {
        let mut session = self.database.reader().await?;
        let rows = session.query(LIST).bind(table).fetch_all().await?;
        let mut days = Vec::with_capacity(rows.len());
        for row in &rows {
            days.extend(partition_day(table, row.get("relname")?));
        }
        days.sort_unstable();
        Ok(days)
    }

    /// Drops a day; `false` if somebody uses the table for longer than can be waited, or still needs the day.
    ///
    /// A transaction drops one partition of one table and locks nothing else, so that it cannot be part of a deadlock.
    async fn drop_day(&self, table: &str, begin: DateTime<Utc>) -> Result<bool, StorageError> {
        let mut transaction = self.database.begin().await?;
        transaction.query(WAIT).bind(LOCK_TIMEOUT).execute().await?;
        let done = async {
            transaction.take_lock(WholeLock::Partitions).await?;
            transaction
                .query(DROP)
                .bind(table)
                .bind(partition(table, begin))
                .bind(id::v7_floor(begin))
                .bind(id::v7_floor(begin + TimeDelta::days(1)))
                .scalar()
                .await
        }
        .await;
        match done {
            Ok(true) => transaction.commit().await.map(|()| true),
            Ok(false) => transaction.give_up(false).await,
            Err(error) if is_locked(&error) => transaction.give_up(false).await,
            Err(error) => Err(error),
        }
    }
}
