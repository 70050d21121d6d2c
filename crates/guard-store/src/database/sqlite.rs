//! The one connection that writes to an SQLite file.

mod log_copier;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use guard_app::ports::StorageError;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection};
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard};
use tokio::time::timeout;

use crate::error::{outcome_unknown, unavailable};
use log_copier::LogCopier;

/// How long the log is before the writer itself copies it into the file, in pages of 4 KiB.
const LONG_LOG: &str = "4000";

/// The connection, and who has it.
///
/// It is no pool of one: a pool asks a connection whether it is well each time it gives it out and takes it back, and each question
/// goes to the connection's thread and back, as a statement does.
pub(crate) struct SqliteWriter {
    options: SqliteConnectOptions,
    connection: Arc<Mutex<Option<SqliteConnection>>>,
    /// Somebody had it who was not told how a transaction ended.
    doubtful: AtomicBool,
    /// How long it is waited for.
    patience: Duration,
    copier: LogCopier,
}

impl SqliteWriter {
    /// Opens the connection.
    pub(crate) async fn open(
        options: &SqliteConnectOptions,
        patience: Duration,
    ) -> Result<Arc<Self>, sqlx::Error> {
        let copier = LogCopier::start(options.connect().await?);
        let options = options.clone().pragma("wal_autocheckpoint", LONG_LOG);
        let connection = options.connect().await?;
        Ok(Arc::new(Self {
            options,
            connection: Arc::new(Mutex::new(Some(connection))),
            doubtful: AtomicBool::new(false),
            patience,
            copier,
        }))
    }

    /// The connection, once everybody who has asked before has had it.
    pub(super) async fn take(self: &Arc<Self>) -> Result<SqliteSession, StorageError> {
        let wait = async {
            let mut slot = self.connection.clone().lock_owned().await;
            if self.doubtful.load(Ordering::Acquire) {
                self.settle(&mut slot).await?;
            }
            Ok(slot)
        };
        let slot = timeout(self.patience, wait)
            .await
            .map_err(|elapsed| StorageError::Unavailable(elapsed.into()))?
            .map_err(unavailable)?;
        let connection = OwnedMutexGuard::try_map(slot, Option::as_mut)
            .map_err(|_| unavailable(sqlx::Error::PoolClosed))?;
        Ok(SqliteSession {
            connection,
            writer: self.clone(),
            begun: false,
            ends: false,
        })
    }

    /// Ends what may be left of a transaction; a connection that does not do it is closed, and another one opened.
    async fn settle(&self, slot: &mut Option<SqliteConnection>) -> Result<(), sqlx::Error> {
        if let Some(connection) = slot {
            match connection.execute("ROLLBACK").await {
                Ok(_) => {}
                Err(error) if is_without_transaction(&error) => {}
                Err(_) => *connection = self.options.connect().await?,
            }
        }
        self.doubtful.store(false, Ordering::Release);
        Ok(())
    }

    pub(super) async fn close(&self) {
        let Some(connection) = self.connection.lock().await.take() else {
            return;
        };
        // Whoever closes last copies what is left of the log.
        let closed = self.copier.close().await;
        if let Err(error) = connection.close().await.and(closed) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the database is not closed as it should be");
        }
    }
}

/// Whether there is nothing to roll back: none has begun, or SQLite itself has ended it, as it does when a disk is full or a device
/// fails.
fn is_without_transaction(error: &sqlx::Error) -> bool {
    // SQLITE_ERROR: ROLLBACK gives it for nothing else.
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some("1"))
}

/// The connection while somebody has it. An open transaction is rolled back when it is dropped.
pub(crate) struct SqliteSession {
    connection: OwnedMappedMutexGuard<Option<SqliteConnection>, SqliteConnection>,
    writer: Arc<SqliteWriter>,
    /// A transaction has begun, or may have.
    begun: bool,
    /// A text that ends the transaction has been given to the connection.
    ends: bool,
}

/// What of a transaction some statements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// What comes first: it begins the transaction.
    Beginning,
    /// What comes later.
    Middle,
    /// Everything: it begins the transaction and ends it.
    Whole,
}

impl SqliteSession {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    pub(super) async fn begin(mut self) -> Result<Self, StorageError> {
        self.begun = true;
        let begun = self.connection.execute("BEGIN IMMEDIATE").await;
        // What is refused has not begun.
        self.begun = begun.is_ok();
        begun.map(|_| self).map_err(unavailable)
    }

    /// What the next statements are to be, which might be all that there is to do. From now on there may be a transaction.
    pub(super) const fn next_part(&mut self, all: bool) -> Part {
        if std::mem::replace(&mut self.begun, true) {
            return Part::Middle;
        }
        self.ends = all;
        if all { Part::Whole } else { Part::Beginning }
    }

    /// The whole transaction went through.
    pub(super) const fn ended(&mut self) {
        self.begun = false;
    }

    /// Whether what was run might have ended the transaction before something went wrong.
    pub(super) const fn may_have_committed(&self) -> bool {
        self.ends
    }

    pub(super) async fn commit(self) -> Result<(), StorageError> {
        self.end("COMMIT").await.map_err(outcome_unknown)
    }

    pub(super) async fn roll_back(self) -> Result<(), StorageError> {
        self.end("ROLLBACK").await.map_err(unavailable)
    }

    async fn end(mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        if self.begun {
            self.connection.execute(statement).await?;
        }
        self.begun = false;
        Ok(())
    }
}

impl Drop for SqliteSession {
    fn drop(&mut self) {
        self.writer.copier.wake();
        if !self.begun {
            return;
        }
        self.writer.doubtful.store(true, Ordering::Release);
        // Whoever comes next settles it; if nobody does, the file must not stay locked.
        let writer = self.writer.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { drop(writer.take().await) });
        }
    }
}
