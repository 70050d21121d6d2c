//! The time of the database.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{Clock, StorageError};
use sqlx::Connection;

use crate::database::Database;
use crate::error::unavailable;
use crate::postgres_address::PostgresAddress;
use crate::row::moment;
use crate::store::Store;

/// The clock of a PostgreSQL server: its last reading, plus the time that has passed since by the monotonic clock of this
/// machine. What this machine believes the time to be has no part in it.
#[derive(Debug)]
pub struct DatabaseClock(RwLock<Reading>);

#[derive(Debug, Clone, Copy)]
struct Reading {
    database: DateTime<Utc>,
    at: Instant,
}

const READ: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

impl DatabaseClock {
    /// A clock that has been read once.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] if the server cannot be reached within `timeout`.
    pub async fn start(address: &PostgresAddress, timeout: Duration) -> Result<Self, StorageError> {
        let read = async {
            let mut connection = sqlx::PgConnection::connect_with(address.server()).await?;
            let asked = Instant::now();
            let micros = sqlx::query_scalar(READ)
                .persistent(false)
                .fetch_one(&mut connection);
            let micros: i64 = micros.await?;
            let reading = Reading::between(micros, asked);
            connection.close().await?;
            Ok::<_, sqlx::Error>(reading)
        };
        let reading = tokio::time::timeout(timeout, read)
            .await
            .map_err(|elapsed| StorageError::Unavailable(elapsed.into()))?
            .map_err(unavailable)?;
        Ok(Self(RwLock::new(reading)))
    }
}

impl Reading {
    /// The server read its clock between `asked` and now: in the middle, as far as can be known.
    fn between(micros: i64, asked: Instant) -> Self {
        Self {
            database: moment(micros),
            at: asked + asked.elapsed() / 2,
        }
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> DateTime<Utc> {
        let reading = *self.0.read().unwrap_or_else(PoisonError::into_inner);
        reading.database + TimeDelta::from_std(reading.at.elapsed()).unwrap_or(TimeDelta::MAX)
    }
}

impl Store {
    /// Reads the database's clock again, which runs a little faster or slower than this machine's. SQLite has no clock of its
    /// own.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`]: the clock runs on from its last reading.
    pub async fn read_clock(&self, clock: &DatabaseClock) -> Result<(), StorageError> {
        let Database::Postgres(_) = &self.database else {
            return Ok(());
        };
        let mut session = self.database.reader().await?;
        let asked = Instant::now();
        let reading = Reading::between(session.query(READ).scalar().await?, asked);
        *clock.0.write().unwrap_or_else(PoisonError::into_inner) = reading;
        Ok(())
    }
}
