//! Connections to PostgreSQL: bounded in number and in time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use guard_app::ports::StorageError;
use guard_domain::TenantId;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Postgres};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use crate::error::unavailable;
use crate::row_security;
use crate::store::LANES;

/// The part of the time of a transaction that a connection may take for its first answer before it is given up.
const SILENCE: u32 = 3;

/// A pool, and how its connections are used.
pub(crate) struct PgDatabase {
    pub(crate) pool: PgPool,
    /// How long everything between taking a connection and giving it back may take.
    pub(crate) timeout: Duration,
    /// A pooler in transaction mode is between: statements are not prepared, and each is in a transaction.
    pub(crate) pooled: bool,
    /// Callers are held by row-level security.
    pub(crate) rows: bool,
    /// The connections of [`PgDatabase::begin_single`], while nobody uses them.
    pub(crate) kept: Arc<Kept>,
}

/// Connections, and when each was used last.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Vec<(PoolConnection<Postgres>, Instant)>>);

/// A connection that was used within this time is taken to be good; another one is asked first.
const FRESH: Duration = Duration::from_secs(1);

impl Kept {
    fn take(&self) -> Option<(PoolConnection<Postgres>, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, connection: PoolConnection<Postgres>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Each lane of the committer uses one; what a look-up or a bisection used besides goes back to the pool.
        if kept.len() < LANES {
            kept.push((connection, Instant::now()));
        }
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

    pub(super) async fn begin_for(&self, tenant: &TenantId) -> Result<PgSession, StorageError> {
        if !self.rows {
            return self.begin().await;
        }
        self.open(Opening::AsCaller(&row_security::begin_statement(
            tenant, true,
        )))
        .await
    }

    pub(super) async fn reader_for(&self, tenant: &TenantId) -> Result<PgSession, StorageError> {
        if !self.rows {
            return self.reader().await;
        }
        self.open(Opening::AsCaller(&row_security::begin_statement(
            tenant, false,
        )))
        .await
    }

    /// A connection for one statement that is a transaction of its own: always one of the same few, which is not asked first if
    /// it was used a moment ago.
    pub(super) async fn begin_single(&self) -> Result<PgSession, StorageError> {
        if self.pooled {
            return self.begin().await;
        }
        let mut session = match self.kept.take() {
            Some((connection, used)) if used.elapsed() < FRESH => {
                self.session(connection, Instant::now() + self.timeout)
            }
            stale => {
                drop(stale);
                self.open(Opening::Question).await?
            }
        };
        session.keeper = Some(self.kept.clone());
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
        let deadline = Instant::now() + self.timeout;
        let mut silent = false;
        loop {
            let mut session = self.acquire(deadline).await?;
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
                Err(_) if matches!(session.stage, Stage::Broken(_)) => {
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

    const fn session(&self, connection: PoolConnection<Postgres>, deadline: Instant) -> PgSession {
        PgSession {
            connection: Some(connection),
            stage: Stage::Idle,
            deadline,
            prepare: !self.pooled,
            keeper: None,
        }
    }
}

/// What is done first on a connection.
#[derive(Clone, Copy)]
enum Opening<'a> {
    /// To ask whether it is still there.
    Question,
    Transaction,
    /// Statements that begin a transaction, as another role.
    AsCaller(&'a str),
}

/// What a connection is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    InTransaction,
    /// A statement is under way, in a transaction or not, or ended in a way that leaves the connection unusable.
    Broken(bool),
}

/// A connection, perhaps in a transaction.
///
/// When it is dropped, an idle connection goes back to the pool, an open transaction is rolled back first, and a connection
/// whose statement is under way is closed: the server may never answer it.
pub(crate) struct PgSession {
    connection: Option<PoolConnection<Postgres>>,
    stage: Stage,
    deadline: Instant,
    prepare: bool,
    /// Where it goes when it is idle, if not to the pool.
    keeper: Option<Arc<Kept>>,
}

impl PgSession {
    /// Whether nothing was heard of the end of a statement that was a transaction of its own.
    pub(super) fn may_have_committed(&self) -> bool {
        self.stage == Stage::Broken(false)
    }

    pub(super) const fn may_prepare(&self) -> bool {
        self.prepare
    }

    /// The connection for a statement, and when the statement must be done. Until [`PgSession::end_statement`] hears of its
    /// end, the connection counts as broken.
    pub(super) fn begin_statement(&mut self) -> Result<(&mut PgConnection, Instant), StorageError> {
        let stage = self.stage;
        match &mut self.connection {
            Some(connection) if !matches!(stage, Stage::Broken(_)) => {
                self.stage = Stage::Broken(stage == Stage::InTransaction);
                Ok((connection, self.deadline))
            }
            _ => Err(unavailable(sqlx::Error::PoolClosed)),
        }
    }

    /// Notes how a statement ended. What the server refuses leaves the connection usable; a transaction can then only be
    /// rolled back.
    pub(super) fn end_statement<T>(
        &mut self,
        done: Result<Result<T, sqlx::Error>, Elapsed>,
    ) -> Result<T, StorageError> {
        let done = done.map_err(|elapsed| StorageError::Unavailable(elapsed.into()))?;
        if !done.as_ref().is_err_and(ends_connection) {
            self.stage = match self.stage {
                Stage::Broken(true) => Stage::InTransaction,
                Stage::Broken(false) => Stage::Idle,
                stage => stage,
            };
        }
        done.map_err(unavailable)
    }

    async fn begin(&mut self, opening: Opening<'_>) -> Result<(), StorageError> {
        match opening {
            Opening::Question => self.run("SELECT 1").await,
            Opening::Transaction => {
                self.run("BEGIN").await?;
                self.stage = Stage::InTransaction;
                Ok(())
            }
            Opening::AsCaller(statements) => {
                // Where a later one is refused, the first has begun a transaction.
                self.stage = Stage::InTransaction;
                let (connection, deadline) = self.begin_statement()?;
                let run = sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection);
                let done = timeout_at(deadline, run).await;
                self.end_statement(done).map(drop)
            }
        }
    }

    /// Runs a statement that has neither parameters nor rows.
    async fn run(&mut self, statement: &'static str) -> Result<(), StorageError> {
        let (connection, deadline) = self.begin_statement()?;
        let done = timeout_at(deadline, connection.execute(statement)).await;
        self.end_statement(done).map(drop)
    }

    pub(super) async fn commit(mut self) -> Result<(), StorageError> {
        if self.stage != Stage::InTransaction {
            return Ok(());
        }
        match self.run("COMMIT").await {
            Ok(()) => {
                self.stage = Stage::Idle;
                Ok(())
            }
            // A refusal undoes everything; anything else may have come after the fact.
            Err(error) if self.stage == Stage::InTransaction => {
                self.stage = Stage::Idle;
                Err(error)
            }
            Err(StorageError::Unavailable(source)) => Err(StorageError::OutcomeUnknown(source)),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn roll_back(mut self) -> Result<(), StorageError> {
        if self.stage == Stage::Idle {
            return Ok(());
        }
        self.run("ROLLBACK").await?;
        self.stage = Stage::Idle;
        Ok(())
    }
}

/// Whether an error leaves the connection unusable: whatever the server did not say, and what it says before it hangs up.
fn ends_connection(error: &sqlx::Error) -> bool {
    match error {
        // SQLSTATE: 57P is the end of a session, 08 that of a connection.
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| code.starts_with("57P") || code.starts_with("08")),
        sqlx::Error::RowNotFound => false,
        _ => true,
    }
}

impl Drop for PgSession {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        match self.stage {
            Stage::Idle => {
                if let Some(keeper) = &self.keeper {
                    keeper.put(connection);
                }
            }
            Stage::InTransaction => {
                let deadline = self.deadline.max(Instant::now() + Duration::from_secs(1));
                tokio::spawn(async move {
                    let done = timeout_at(deadline, connection.execute("ROLLBACK")).await;
                    if !matches!(done, Ok(Ok(_))) {
                        drop(connection.detach());
                    }
                });
            }
            Stage::Broken(_) => drop(connection.detach()),
        }
    }
}
