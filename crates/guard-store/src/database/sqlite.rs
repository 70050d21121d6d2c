//! The one connection that writes to an SQLite file.
//!
//! A statement is run by the thread that asks for it: to hand it to another thread and to take its result from there takes longer
//! than most statements do.

mod log_copier;
mod statement;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use guard_app::ports::StorageError;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard};
use tokio::time::timeout;

use super::insert::Cell;
use crate::error::{Failure, outcome_unknown, unavailable};
use log_copier::LogCopier;
pub(crate) use statement::SqliteRow;

/// How long the log is before the writer itself copies it into the file, in pages of 4 KiB.
const LONG_LOG: u32 = 4000;
/// From when on a step is slow.
const SLOW: Duration = Duration::from_secs(1);
/// Statements that the connection keeps prepared.
const STATEMENTS: usize = 128;

/// The connection, and who has it.
pub(crate) struct SqliteWriter {
    path: PathBuf,
    /// How long somebody else's lock on the file is waited for.
    busy_timeout: Duration,
    connection: Arc<Mutex<Option<Connection>>>,
    /// How long the connection is waited for.
    patience: Duration,
    copier: LogCopier,
}

impl SqliteWriter {
    /// Opens the connection to a file that is there; `options` are those of who reads it.
    pub(crate) async fn open(
        path: &Path,
        options: &SqliteConnectOptions,
        busy_timeout: Duration,
        patience: Duration,
    ) -> Result<Arc<Self>, Failure> {
        let connection = connect(path, busy_timeout)?;
        Ok(Arc::new(Self {
            path: path.to_owned(),
            busy_timeout,
            connection: Arc::new(Mutex::new(Some(connection))),
            patience,
            copier: LogCopier::start(options.connect().await?),
        }))
    }

    /// The connection, in a transaction, once everybody who has asked before has had it.
    pub(super) async fn begin(self: &Arc<Self>) -> Result<SqliteSession, StorageError> {
        let slot = timeout(self.patience, self.connection.clone().lock_owned())
            .await
            .map_err(|elapsed| StorageError::Unavailable(elapsed.into()))?;
        let mut connection = OwnedMutexGuard::try_map(slot, Option::as_mut)
            .map_err(|_| unavailable(sqlx::Error::PoolClosed))?;
        if !connection.is_autocommit() {
            // Whoever had it could not undo what was begun.
            *connection = connect(&self.path, self.busy_timeout).map_err(unavailable)?;
        }
        let session = SqliteSession {
            connection,
            writer: self.clone(),
        };
        session.execute("BEGIN IMMEDIATE", &[])?;
        Ok(session)
    }

    pub(super) async fn close(&self) {
        let Some(connection) = self.connection.lock().await.take() else {
            return;
        };
        // Whoever closes last copies what is left of the log.
        let copied = self.copier.close().await.map_err(Failure::from);
        let closed = in_place(|| connection.close());
        if let Err(error) = copied.and(closed.map_err(|(_, error)| error.into())) {
            let error = error.as_ref() as &dyn std::error::Error;
            tracing::warn!(error, "the database is not closed as it should be");
        }
    }
}

/// A connection that writes to a file which is there.
fn connect(path: &Path, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(busy_timeout)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", LONG_LOG)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// The connection while somebody has it, in a transaction. It is rolled back when this is dropped.
pub(crate) struct SqliteSession {
    connection: OwnedMappedMutexGuard<Option<Connection>, Connection>,
    writer: Arc<SqliteWriter>,
}

impl SqliteSession {
    /// Runs a statement; gives the number of rows that it changed.
    pub(super) fn execute(
        &self,
        statement: &str,
        parameters: &[Value],
    ) -> Result<u64, StorageError> {
        in_place(|| statement::execute(&self.connection, statement, parameters))
            .map_err(unavailable)
    }

    /// Runs a statement; gives every row.
    pub(super) fn fetch_all(
        &self,
        statement: &str,
        parameters: &[Value],
    ) -> Result<Vec<SqliteRow>, StorageError> {
        in_place(|| statement::fetch_all(&self.connection, statement, parameters))
            .map_err(unavailable)
    }

    /// Runs a statement; gives the first row, if there is one.
    pub(super) fn fetch_optional(
        &self,
        statement: &str,
        parameters: &[Value],
    ) -> Result<Option<SqliteRow>, StorageError> {
        let rows = self.fetch_all(statement, parameters)?;
        Ok(rows.into_iter().next())
    }

    /// Runs a statement once for each row of parameters.
    pub(super) fn insert<const N: usize>(
        &self,
        statement: &str,
        rows: &[[Cell<'_>; N]],
    ) -> Result<(), StorageError> {
        in_place(|| statement::insert(&self.connection, statement, rows)).map_err(unavailable)
    }

    pub(super) fn commit(self) -> Result<(), StorageError> {
        in_place(|| statement::execute(&self.connection, "COMMIT", &[]))
            .map(drop)
            .map_err(outcome_unknown)
    }

    pub(super) fn roll_back(self) -> Result<(), StorageError> {
        self.undo().map_err(unavailable)
    }

    /// Ends the transaction, if SQLite itself has not ended it, as it does when a disk is full or a device fails.
    fn undo(&self) -> rusqlite::Result<()> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        in_place(|| statement::execute(&self.connection, "ROLLBACK", &[])).map(drop)
    }
}

impl Drop for SqliteSession {
    fn drop(&mut self) {
        if let Err(error) = self.undo() {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                error,
                "a transaction is not rolled back; its connection is given up"
            );
        }
        self.writer.copier.wake();
    }
}

/// Does what takes its time, waiting for the disk or for a lock, while the runtime's other tasks go to other threads.
fn in_place<T>(work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    };
    let took = begun.elapsed();
    if took > SLOW {
        tracing::warn!(
            ?took,
            "SQLite waited: see whether the disk is slow, or another program has the file of the database open"
        );
    }
    done
}
