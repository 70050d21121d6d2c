//! Connections to PostgreSQL: bounded in number and in time.

mod session;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use guard_app::ports::StorageError;
use guard_domain::TenantId;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::error::unavailable;
use crate::row_security;
use crate::store::LANES;
use session::Opening;
pub(crate) use session::PgSession;

/// The part of the time of a transaction that a connection may take for its first answer before it is given up.
const SILENCE: u32 = 3;

/// A pool, and how its connections are used.
pub(crate) struct PgDatabase {
    pub(crate) pool: PgPool,
    /// How long everything between taking a connection and giving it back may take.
    pub(crate) timeout: Duration,
    /// A pooler in transaction mode is between: statements are not prepared, and each is in a transaction.
    pub(crate) pooled: bool,
    /// Row-level security holds callers.
    pub(crate) row_security: bool,
    /// The connections of [`PgDatabase::begin_single`].
    pub(crate) kept: Arc<Kept>,
}

/// How many connections keep their plans: those of the committer, one that claims, and one that settles.
const KEPT: usize = LANES + 3;
/// A connection that was used within this time is taken to be good; another one is asked first.
const FRESH: Duration = Duration::from_secs(1);

/// Connections that keep their plans, which the pool's do not.
pub(crate) struct Kept {
    /// Those that nobody uses, and when each was used last.
    idle: Mutex<Vec<(PoolConnection<Postgres>, Instant)>>,
    /// One for each that may be in use.
    places: Arc<Semaphore>,
}

/// The right to use one of the kept connections, which goes back to them.
pub(super) struct Place {
    kept: Arc<Kept>,
    _permit: OwnedSemaphorePermit,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(KEPT)),
        }
    }
}

impl Kept {
    /// A place, unless all are in use.
    fn place(self: &Arc<Self>) -> Option<Place> {
        let permit = self.places.clone().try_acquire_owned().ok()?;
        Some(Place {
            kept: self.clone(),
            _permit: permit,
        })
    }

    /// The connection that was used last, and when.
    fn take(&self) -> Option<(PoolConnection<Postgres>, Instant)> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop()
    }
}

impl Place {
    /// Gives its connection back.
    fn put(self, connection: PoolConnection<Postgres>) {
        let mut idle = self
            .kept
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        idle.push((connection, Instant::now()));
    }
}

impl PgDatabase {
    pub(super) async fn reader(&self) -> Result<PgSession, StorageError> {
        // An unprepared statement is two messages, which a pooler may hand to two servers but in a transaction.
        if self.pooled {
            return self.begin().await;
        }
        self.open(Opening::Question).await
    }

    pub(super) async fn begin(&self) -> Result<PgSession, StorageError> {
        self.open(Opening::Transaction).await
    }

    /// A transaction whose statements are planned once, for whatever the tables will hold: none may have a choice of ways.
    pub(super) async fn begin_routine(&self) -> Result<PgSession, StorageError> {
        if self.pooled {
            return self.begin().await;
        }
        self.open(Opening::Routine).await
    }

    pub(super) async fn begin_for(&self, tenant: &TenantId) -> Result<PgSession, StorageError> {
        if !self.row_security {
            return self.begin().await;
        }
        self.open(Opening::AsCaller(&row_security::begin_statement(
            tenant, true,
        )))
        .await
    }

    pub(super) async fn reader_for(&self, tenant: &TenantId) -> Result<PgSession, StorageError> {
        if !self.row_security {
            return self.reader().await;
        }
        self.open(Opening::AsCaller(&row_security::begin_statement(
            tenant, false,
        )))
        .await
    }

    /// A connection for one statement that is a transaction of its own, or for a transaction that [`PgSession::begin_with`] begins: one of
    /// the same few, which is not asked first if it was used a moment ago. While all of them are in use it is a transaction of another one.
    pub(super) async fn begin_single(&self) -> Result<PgSession, StorageError> {
        if self.pooled {
            return self.begin().await;
        }
        match self.kept.place() {
            Some(place) => self.open_kept(place).await,
            None => self.begin_routine().await,
        }
    }

    async fn open_kept(&self, place: Place) -> Result<PgSession, StorageError> {
        let mut session = match self.kept.take() {
            Some((connection, used)) if used.elapsed() < FRESH => {
                self.session(connection, Instant::now() + self.timeout)
            }
            stale => {
                let stale = stale.map(|(connection, _)| connection);
                self.open_first(stale, Opening::Repetition).await?
            }
        };
        session.place = Some(place);
        Ok(session)
    }

    /// Closes every connection; what is open is finished first.
    pub(super) async fn close(&self) {
        while let Some(kept) = self.kept.take() {
            drop(kept);
        }
        self.pool.close().await;
    }

    /// A connection on which a first statement has gone through: others, which the server has cut meanwhile, are thrown away.
    ///
    /// One that gives no answer may have died in silence, and those that wait in the pool with it: the next one is fresh.
    async fn open(&self, opening: Opening<'_>) -> Result<PgSession, StorageError> {
        self.open_first(None, opening).await
    }

    /// As [`PgDatabase::open`], but a connection that is at hand is tried before those of the pool.
    async fn open_first(
        &self,
        mut first: Option<PoolConnection<Postgres>>,
        opening: Opening<'_>,
    ) -> Result<PgSession, StorageError> {
        let deadline = Instant::now() + self.timeout;
        let mut silent = false;
        loop {
            let mut session = match first.take() {
                Some(connection) => self.session(connection, deadline),
                None => self.acquire(deadline).await?,
            };
            let patience = Instant::now() + self.timeout / SILENCE;
            if !silent {
                session.deadline = patience.min(deadline);
            }
            match session.begin(opening).await {
                Ok(()) => {
                    session.deadline = deadline;
                    return Ok(session);
                }
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) if session.is_broken() => {
                    if Instant::now() >= patience {
                        silent = true;
                        self.forget_idle();
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Throws the connections away that wait in the pool.
    fn forget_idle(&self) {
        while let Some(idle) = self.pool.try_acquire() {
            drop(idle.detach());
        }
    }

    async fn acquire(&self, deadline: Instant) -> Result<PgSession, StorageError> {
        let connection = timeout_at(deadline, self.pool.acquire())
            .await
            .map_err(|elapsed| StorageError::Unavailable(elapsed.into()))?
            .map_err(unavailable)?;
        Ok(self.session(connection, deadline))
    }

    fn session(&self, connection: PoolConnection<Postgres>, deadline: Instant) -> PgSession {
        PgSession::new(connection, deadline, !self.pooled)
    }
}
