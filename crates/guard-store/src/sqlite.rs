//! SQLite.

mod archive;
mod audit;
mod controls;
mod execution;
mod keys;
mod ledger;
mod outbox;
mod receipt;
mod rules;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use guard_app::ports::{Clock, Random, StorageError};
use guard_domain::ContactName;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Sqlite, Transaction};
use tokio::sync::Mutex;

use crate::error::{LockError, OpenError, outcome_unknown, unavailable};
use audit::Chain;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// Connections that only read.
const READERS: u32 = 4;
/// The longest text that is stored as a cooldown value as it is; longer ones are stored as their SHA-256.
const MAX_VALUE_BYTES: usize = 256;

/// How a database is used.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// How long a statement waits for a lock, and a caller for a connection.
    pub timeout: Duration,
    /// Who is called about executions that end without proof.
    pub default_contact: ContactName,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            default_contact: ContactName::default_contact(),
        }
    }
}

/// Everything in one SQLite file.
pub struct SqliteStore {
    writer: SqlitePool,
    reader: SqlitePool,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    chain: Mutex<Chain>,
    settings: StoreSettings,
}

impl SqliteStore {
    /// Opens a database file, creates it if it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// [`OpenError`] when the file cannot be opened or was made by a newer version.
    pub async fn open(
        path: &Path,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: StoreSettings,
    ) -> Result<Self, OpenError> {
        let connect = |source| OpenError::Connect {
            path: path.to_owned(),
            source,
        };
        // A lock is waited for less long than the caller waits, behind another statement too, so that the caller hears of
        // it in time.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(settings.timeout / 4);
        let pool = SqlitePoolOptions::new()
            .acquire_timeout(settings.timeout)
            .min_connections(0);
        // SQLite itself ends a transaction that a full disk or a failing device broke, which sqlx does not notice: such a
        // connection is thrown away.
        let writer = pool
            .clone()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .before_acquire(|connection, _| {
                Box::pin(async move { Ok(!connection.is_in_transaction()) })
            })
            .connect_with(options.clone())
            .await
            .map_err(connect)?;
        MIGRATIONS
            .run(&writer)
            .await
            .map_err(|source| OpenError::Migrate {
                path: path.to_owned(),
                source,
            })?;
        let reader = pool
            .max_connections(READERS)
            // A file does not hang up: asking it before every statement would double the work of an idle server.
            .test_before_acquire(false)
            .idle_timeout(Duration::from_secs(60))
            .connect_with(options.read_only(true))
            .await
            .map_err(connect)?;
        let chain = Mutex::new(Chain::begin(clock.as_ref(), random.as_ref()));
        Ok(Self {
            writer,
            reader,
            clock,
            random,
            chain,
            settings,
        })
    }

    /// Takes the database for this process, until the lock is dropped.
    ///
    /// # Errors
    /// [`LockError::InUse`] when another process has it.
    pub fn lock(path: &Path) -> Result<StoreLock, LockError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock_path = PathBuf::from(name);
        let io = |source| LockError::Io {
            path: lock_path.clone(),
            source,
        };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(StoreLock { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => Err(LockError::InUse(path.to_owned())),
            Err(std::fs::TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// Closes every connection; what is open is finished first.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    /// A transaction that writes: nobody else does meanwhile.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StorageError> {
        self.writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(unavailable)
    }
}

/// Keeps other processes off a database while it lives.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}

async fn commit(transaction: Transaction<'static, Sqlite>) -> Result<(), StorageError> {
    transaction.commit().await.map_err(outcome_unknown)
}

/// A cooldown value as it is stored: bounded in length.
fn stored_value(value: &str) -> String {
    use sha2::{Digest, Sha256};
    if value.len() <= MAX_VALUE_BYTES {
        return value.to_owned();
    }
    format!("sha256:{}", crate::chain::hex(&Sha256::digest(value)))
}
