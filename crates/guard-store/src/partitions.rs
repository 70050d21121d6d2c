//! The days of `events` and `audit_log` in PostgreSQL: a partition for each, by the time inside the ids.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use guard_app::ports::StorageError;
use guard_domain::id;

use crate::database::{Database, Sql, WholeLock};
use crate::store::Store;

/// How many days ahead partitions are made.
const DAYS_AHEAD: i64 = 14;
/// The tables that are partitioned, and their partitions' names before the day.
const TABLES: [&str; 2] = ["events", "audit_log"];
/// Makes a partition unless it is there. Several instances may try at once: one after the other.
const MAKE: Sql = Sql {
    sqlite: "",
    postgres: "SELECT guard_make_partition($1, $2, $3, $4)",
};

impl Store {
    /// Makes the partitions of yesterday, today and the days ahead that are not there yet. Does nothing for SQLite.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`].
    pub async fn make_partitions(&self) -> Result<(), StorageError> {
        let Database::Postgres(_) = &self.database else {
            return Ok(());
        };
        let today = self.clock.now();
        for days in -1..=DAYS_AHEAD {
            self.make_day(midnight(today + TimeDelta::days(days)))
                .await?;
        }
        Ok(())
    }

    /// One day in one transaction: all of them could take longer than a transaction may, on a machine that is busy.
    async fn make_day(&self, day: DateTime<Utc>) -> Result<(), StorageError> {
        let mut transaction = self.database.begin().await?;
        transaction.take_lock(WholeLock::Partitions).await?;
        for table in TABLES {
            transaction
                .query(MAKE)
                .bind(table)
                .bind(partition(table, day))
                .bind(id::v7_floor(day))
                .bind(id::v7_floor(day + TimeDelta::days(1)))
                .execute()
                .await?;
        }
        transaction.commit().await
    }
}

/// The beginning of a day.
pub(crate) fn midnight(moment: DateTime<Utc>) -> DateTime<Utc> {
    moment.date_naive().and_time(NaiveTime::MIN).and_utc()
}

/// How the days of partitions are written.
const DAY: &str = "%Y%m%d";

/// The name of the partition of a day.
pub(crate) fn partition(table: &str, day: DateTime<Utc>) -> String {
    format!("{table}_{}", day.format(DAY))
}

/// The day of the partition of a name.
pub(crate) fn partition_day(table: &str, name: &str) -> Option<NaiveDate> {
    let day = name.strip_prefix(table)?.strip_prefix('_')?;
    NaiveDate::parse_from_str(day, DAY).ok()
}
