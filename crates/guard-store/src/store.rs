//! The adapter of every storage port.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use guard_app::ports::{Clock, Random};
use guard_domain::{ContactName, TenantId};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{Mutex, MutexGuard};

use crate::audit::Chain;
use crate::controls::Control;
use crate::database::{Database, Kept, PgDatabase, SqliteWriter};
use crate::error::{LockError, OpenError};
use crate::escalation::NotificationSettings;
use crate::postgres_address::PostgresAddress;
use crate::schema;
use crate::spans::Sighted;

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// Connections that only read, of SQLite.
const READERS: u32 = 4;
/// How many commits PostgreSQL does at once of what may be done in any order. Two were no faster than one: while one waits for the
/// disk the next is written, but both are half as long.
pub(crate) const LANES: usize = 1;
/// Connections to PostgreSQL: one for each task that commits, two for deliveries, the others answer queries and callbacks.
const POSTGRES_CONNECTIONS: u32 = 10;
/// Claims and acknowledgements at once on connections of their own.
const DELIVERIES: usize = 2;

/// How a database is used.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// How long a caller waits for an answer: what it needs to get a connection and a lock, and of PostgreSQL the whole
    /// transaction, is given up at three quarters of this.
    pub timeout: Duration,
    /// Who is called about executions that end without proof.
    pub default_contact: ContactName,
    /// Over which channels escalations go.
    pub notifications: NotificationSettings,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            default_contact: ContactName::default_contact(),
            notifications: NotificationSettings::default(),
        }
    }
}

/// Everything in one database: an SQLite file, or PostgreSQL, which several instances share.
pub struct Store {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    /// The chains that this process writes: one for what is done in order, one for each commit beside that.
    chains: [Mutex<Chain>; 1 + LANES],
    /// What operators switch, as it was when this process last looked; the database says with each commit whether it holds.
    pub(crate) controls: std::sync::Mutex<HashMap<TenantId, Arc<Control>>>,
    /// What has been written of where events are to be looked for.
    pub(crate) sighted: std::sync::Mutex<Sighted>,
    pub(crate) settings: StoreSettings,
}

impl Store {
    fn new(
        database: Database,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: StoreSettings,
    ) -> Self {
        let chain = |_| Mutex::new(Chain::begin(clock.as_ref(), random.as_ref()));
        let chains = std::array::from_fn(chain);
        Self {
            database,
            clock,
            random,
            chains,
            controls: std::sync::Mutex::default(),
            sighted: std::sync::Mutex::default(),
            settings,
        }
    }

    /// The chain of what is done in order.
    pub(crate) async fn chain(&self) -> MutexGuard<'_, Chain> {
        let [first, ..] = &self.chains;
        first.lock().await
    }

    /// A chain of what may be done beside that.
    pub(crate) async fn free_chain(&self) -> MutexGuard<'_, Chain> {
        let [_, beside @ ..] = &self.chains;
        let free = beside.iter().find_map(|chain| chain.try_lock().ok());
        match free {
            Some(chain) => chain,
            None => self.chain().await,
        }
    }

    /// Every chain, once nobody writes any.
    pub(crate) async fn every_chain(&self) -> Vec<MutexGuard<'_, Chain>> {
        let mut every = Vec::with_capacity(self.chains.len());
        for chain in &self.chains {
            every.push(chain.lock().await);
        }
        every
    }

    /// How many commits of what has no past are done at once, beside those in order. SQLite has one writer.
    #[must_use]
    pub const fn lanes(&self) -> usize {
        if self.database.is_shared() { LANES } else { 0 }
    }

    /// Whether the database is part of this process: what it does keeps busy the thread that asks for it.
    #[must_use]
    pub const fn is_in_process(&self) -> bool {
        !self.database.is_shared()
    }

    /// Opens an SQLite file, creates it if it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// [`OpenError`] when the file cannot be opened or was made by a newer version.
    pub async fn open_sqlite(
        path: &Path,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: StoreSettings,
    ) -> Result<Self, OpenError> {
        let connect = |source| OpenError::Connect {
            database: path.display().to_string(),
            source,
        };
        // A connection and then a lock are waited for less long together than the caller waits, however many are in line
        // before it, so that the caller hears of it in time.
        let busy_timeout = settings.timeout / 4;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(busy_timeout);
        let patience = settings.timeout / 2;
        let mut first = options
            .connect()
            .await
            .map_err(|error| connect(error.into()))?;
        SQLITE_MIGRATIONS
            .run(&mut first)
            .await
            .map_err(|source| OpenError::Migrate {
                database: path.display().to_string(),
                source,
            })?;
        let writer = SqliteWriter::open(path, &options, busy_timeout, patience)
            .await
            .map_err(connect)?;
        first.close().await.map_err(|error| connect(error.into()))?;
        let reader = SqlitePoolOptions::new()
            .acquire_timeout(patience)
            .min_connections(0)
            .max_connections(READERS)
            // A file does not hang up: asking it before every statement would double the work of an idle server.
            .test_before_acquire(false)
            .idle_timeout(Duration::from_secs(60))
            .connect_with(options.read_only(true))
            .await
            .map_err(|error| connect(error.into()))?;
        let database = Database::Sqlite { writer, reader };
        Ok(Self::new(database, clock, random, settings))
    }

    /// Connects to PostgreSQL, and brings its schema up to date.
    ///
    /// # Errors
    /// [`OpenError`] when the server cannot be reached or refuses us, the schema was made by a newer version, or row-level
    /// security keeps us out.
    pub async fn open_postgres(
        address: &PostgresAddress,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: StoreSettings,
    ) -> Result<Self, OpenError> {
        let pooled = address.direct.is_some();
        let server = schema::connect(address, settings.timeout).await?;
        schema::migrate(&server, address).await?;
        let mut options = address.options.clone();
        if pooled {
            options = options.statement_cache_capacity(0);
        } else {
            // A session that died in silence must not hold its locks until TCP notices, which takes hours. Poolers have a
            // setting of their own, and refuse this one.
            // Whoever waits for a lock longer than its client does is an orphan, and holds locks itself.
            let longest = settings.timeout.as_millis().to_string();
            options = options.options([
                ("idle_in_transaction_session_timeout", longest.as_str()),
                ("lock_timeout", &longest),
                // A plan that is kept is one for tables as small as they were, until they are analysed: on a new database
                // that reads whole tables for every delivery. See also `begin_commit` and `begin_routine`.
                ("plan_cache_mode", "force_custom_plan"),
                // What is read here is small, whatever a plan expects.
                ("jit", "off"),
            ]);
        }
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .min_connections(0)
            .acquire_timeout(settings.timeout)
            .idle_timeout(Duration::from_secs(60))
            // A session begins with a statement that does this.
            .test_before_acquire(false)
            .connect_lazy_with(options);
        let row_security = schema::secure_rows(&server, &pool, address).await?;
        server.close().await;
        // Less than the caller's patience, so that the caller hears of it in time.
        let timeout = settings.timeout * 3 / 4;
        let database = Database::Postgres(PgDatabase {
            pool,
            row_security,
            timeout,
            pooled,
            // A commit that nobody waits for any more is looked up.
            commits: Kept::new(1 + LANES, None),
            // What nobody waits for any more must not be claimed.
            deliveries: Kept::new(DELIVERIES, Some(timeout / 2)),
        });
        let store = Self::new(database, clock, random, settings);
        store
            .make_partitions()
            .await
            .map_err(|source| OpenError::Prepare {
                database: address.to_string(),
                source,
            })?;
        Ok(store)
    }

    /// Takes an SQLite file for this process, until the lock is dropped.
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
        self.database.close(self.settings.timeout).await;
    }
}

/// Keeps other processes off a database while it lives.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}
