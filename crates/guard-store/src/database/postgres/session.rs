//! One connection to PostgreSQL, perhaps in a transaction.

use std::time::Duration;

use guard_app::ports::StorageError;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Postgres};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::Place;
use crate::error::unavailable;

/// What is done first on a connection.
#[derive(Clone, Copy)]
pub(super) enum Opening<'a> {
    /// To ask whether it is still there.
    Question,
    /// What makes it a connection that keeps its plans.
    Settings(&'a str),
    Transaction,
    /// A transaction of statements whose plans are kept.
    Routine,
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
    pub(super) deadline: Instant,
    prepare: bool,
    /// Where it goes when it is idle, if not to the pool.
    pub(super) place: Option<Place>,
}

impl PgSession {
    pub(super) const fn new(
        connection: PoolConnection<Postgres>,
        deadline: Instant,
        prepare: bool,
    ) -> Self {
        Self {
            connection: Some(connection),
            stage: Stage::Idle,
            deadline,
            prepare,
            place: None,
        }
    }

    /// Whether it cannot be used any more.
    pub(super) const fn is_broken(&self) -> bool {
        matches!(self.stage, Stage::Broken(_))
    }

    /// Whether a transaction is open.
    pub(in crate::database) const fn is_in_transaction(&self) -> bool {
        matches!(self.stage, Stage::InTransaction)
    }

    /// Whether it cannot be used any more, and not for lack of time.
    pub(in crate::database) fn was_cut(&self) -> bool {
        self.is_broken() && Instant::now() < self.deadline
    }

    /// Whether nothing was heard of the end of a statement that was a transaction of its own.
    pub(in crate::database) fn may_have_committed(&self) -> bool {
        self.stage == Stage::Broken(false)
    }

    pub(in crate::database) const fn may_prepare(&self) -> bool {
        self.prepare
    }

    /// The connection for a statement, and when the statement must be done. Until [`PgSession::end_statement`] hears of its
    /// end, the connection counts as broken.
    pub(in crate::database) fn begin_statement(
        &mut self,
    ) -> Result<(&mut PgConnection, Instant), StorageError> {
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
    pub(in crate::database) fn end_statement<T>(
        &mut self,
        done: Result<Result<T, sqlx::Error>, Elapsed>,
    ) -> Result<T, StorageError> {
        let done = done.map_err(|elapsed| StorageError::Unavailable(elapsed.into()))?;
        if done.as_ref().is_err_and(is_outdated) {
            // Nothing was done, but the connection is of no use.
            self.stage = Stage::Broken(true);
        } else if !done.as_ref().is_err_and(ends_connection) {
            self.stage = match self.stage {
                Stage::Broken(true) => Stage::InTransaction,
                Stage::Broken(false) => Stage::Idle,
                stage => stage,
            };
        }
        done.map_err(unavailable)
    }

    pub(super) async fn begin(&mut self, opening: Opening<'_>) -> Result<(), StorageError> {
        match opening {
            Opening::Question => self.run("SELECT 1").await,
            Opening::Settings(settings) => {
                let done = self.run_made(settings).await;
                if done.is_err() {
                    // Nobody knows which settings it has.
                    self.stage = Stage::Broken(true);
                }
                done
            }
            Opening::Transaction => {
                self.run("BEGIN").await?;
                self.stage = Stage::InTransaction;
                Ok(())
            }
            Opening::Routine => {
                self.run(
                    "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off",
                )
                .await?;
                self.stage = Stage::InTransaction;
                Ok(())
            }
            Opening::AsCaller(statements) => {
                // Where a later one is refused, the first has begun a transaction.
                self.stage = Stage::InTransaction;
                self.run_made(statements).await
            }
        }
    }

    /// Runs a statement without parameters in a transaction, which it begins if none has begun.
    pub(in crate::database) async fn begin_with(
        &mut self,
        statement: &str,
    ) -> Result<(), StorageError> {
        if self.stage != Stage::Idle {
            return self.run_made(statement).await;
        }
        self.stage = Stage::InTransaction;
        self.run_made(&format!("BEGIN; {statement}")).await
    }

    /// Runs statements that are made up here, of nothing that comes from outside.
    async fn run_made(&mut self, statements: &str) -> Result<(), StorageError> {
        let (connection, deadline) = self.begin_statement()?;
        let run = sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection);
        let done = timeout_at(deadline, run).await;
        self.end_statement(done).map(drop)
    }

    /// Runs a statement that has neither parameters nor rows.
    async fn run(&mut self, statement: &'static str) -> Result<(), StorageError> {
        let (connection, deadline) = self.begin_statement()?;
        let done = timeout_at(deadline, connection.execute(statement)).await;
        self.end_statement(done).map(drop)
    }

    pub(in crate::database) async fn commit(mut self) -> Result<(), StorageError> {
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

    pub(in crate::database) async fn roll_back(mut self) -> Result<(), StorageError> {
        if self.stage == Stage::Idle {
            return Ok(());
        }
        self.run("ROLLBACK").await?;
        self.stage = Stage::Idle;
        Ok(())
    }
}

/// Whether the server refused a statement because it does not have what the connection believes it to have: behind a pooler the database
/// may have moved to another server, where types have other numbers, and a newer build may have changed a table.
fn is_outdated(error: &sqlx::Error) -> bool {
    match error {
        // SQLSTATE: an undefined object, a wrong type, a type that cannot be another, a number that is none of a type's, and a
        // plan that is kept for a table that has other columns by now.
        sqlx::Error::Database(error) => matches!(
            error.code().as_deref(),
            Some("42704" | "42804" | "42846" | "XX000" | "0A000")
        ),
        sqlx::Error::TypeNotFound { .. } => true,
        _ => false,
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
        let place = self.place.take();
        match self.stage {
            Stage::Idle => {
                if let Some(place) = place {
                    place.put(connection);
                }
            }
            Stage::InTransaction => {
                let deadline = self.deadline.max(Instant::now() + Duration::from_secs(1));
                tokio::spawn(async move {
                    let done = timeout_at(deadline, connection.execute("ROLLBACK")).await;
                    match (done, place) {
                        (Ok(Ok(_)), Some(place)) => place.put(connection),
                        (Ok(Ok(_)), None) => {}
                        _ => drop(connection.detach()),
                    }
                });
            }
            Stage::Broken(_) => drop(connection.detach()),
        }
    }
}
