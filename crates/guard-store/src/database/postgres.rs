//! Connections to PostgreSQL: bounded in number and in time.

mod kept;
mod session;

use std::sync::Arc;
use std::time::Duration;

use guard_app::ports::StorageError;
use guard_domain::TenantId;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use tokio::time::{Instant, timeout_at};

use crate::error::unavailable;
use crate::row_security;
pub(crate) use kept::Kept;
use kept::{Found, Place};
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
    /// The connections of commits.
    pub(crate) commits: Arc<Kept>,
    /// The connections of claims and acknowledgements.
    pub(crate) deliveries: Arc<Kept>,
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
    pub(super) async fn begin_single(&self, kept: &Arc<Kept>) -> Result<PgSession, StorageError> {
        if self.pooled {
            return self.begin().await;
        }
        let Some(place) = kept.place() else {
            return self.begin_routine().await;
        };
        let settings = Opening::Settings(&kept.settings);
        let mut session = match place.take() {
            Found::Fresh(connection) => self.session(connection, Instant::now() + self.timeout),
            Found::Stale(connection) => self.open_first(Some(connection), settings).await?,
            Found::Nothing => self.open(settings).await?,
        };
        session.place = Some(place);
        Ok(session)
    }

    /// Closes every connection; what is open is finished first.
    pub(super) async fn close(&self) {
        self.commits.close();
        self.deliveries.close();
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
