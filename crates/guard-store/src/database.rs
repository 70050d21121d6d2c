//! One way to speak to both databases.
//!
//! A [`Session`] is a connection or a transaction. A statement is the same text for both databases wherever both
//! understand it; a [`Sql`] has one text for each where they differ. Parameters are `$1`, `$2` and so on.

mod insert;
mod postgres;
mod query;
mod row;
mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use guard_app::ports::StorageError;
use guard_domain::TenantId;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqlitePool;
use sqlx::{Postgres, Sqlite};

use crate::error::unavailable;
pub(crate) use insert::{Cell, Insert, insert};
pub(crate) use postgres::{Kept, PgDatabase, PgSession};
pub(crate) use query::Query;
pub(crate) use row::{Column, Row};
pub(crate) use sqlite::{SqliteRow, SqliteSession, SqliteWriter};

/// A statement as each of the databases understands it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sql {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl From<&'static str> for Sql {
    fn from(both: &'static str) -> Self {
        Self {
            sqlite: both,
            postgres: both,
        }
    }
}

/// The connections to a database.
pub(crate) enum Database {
    Sqlite {
        writer: Arc<SqliteWriter>,
        reader: SqlitePool,
    },
    Postgres(PgDatabase),
}

impl Database {
    /// Whether this is PostgreSQL, where several instances work at once.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// A transaction that writes.
    pub(crate) async fn begin(&self) -> Result<Session, StorageError> {
        match self {
            // Nobody else writes meanwhile.
            Self::Sqlite { writer, .. } => writer.begin().await.map(Session::SqliteTransaction),
            Self::Postgres(database) => database.begin().await.map(Session::Postgres),
        }
    }

    /// A transaction that writes what is written for every event or execution. Each of its statements is to have one way to find what
    /// it asks for, whatever the tables hold: PostgreSQL keeps their plans, and uses an index wherever there is one.
    pub(crate) async fn begin_routine(&self) -> Result<Session, StorageError> {
        match self {
            Self::Sqlite { .. } => self.begin().await,
            Self::Postgres(database) => database.begin_routine().await.map(Session::Postgres),
        }
    }

    /// A transaction that writes for callers of a tenant, and reaches the rows of no other.
    pub(crate) async fn begin_for(&self, tenant: &TenantId) -> Result<Session, StorageError> {
        match self {
            Self::Postgres(database) => database.begin_for(tenant).await.map(Session::Postgres),
            Self::Sqlite { .. } => self.begin().await,
        }
    }

    /// A session for a commit that is one statement, which is a transaction of its own with PostgreSQL, or for one whose transaction
    /// [`Session::begin_with`] begins.
    pub(crate) async fn begin_commit(&self) -> Result<Session, StorageError> {
        match self {
            Self::Sqlite { .. } => self.begin().await,
            Self::Postgres(database) => database
                .begin_single(&database.commits)
                .await
                .map(Session::Postgres),
        }
    }

    /// A session for a claim or an acknowledgement, each statement of which is a transaction of its own with PostgreSQL.
    pub(crate) async fn begin_delivery(&self) -> Result<Session, StorageError> {
        match self {
            Self::Sqlite { .. } => self.begin().await,
            Self::Postgres(database) => database
                .begin_single(&database.deliveries)
                .await
                .map(Session::Postgres),
        }
    }

    /// A connection that reads.
    pub(crate) async fn reader(&self) -> Result<Session, StorageError> {
        match self {
            Self::Sqlite { reader, .. } => reader
                .acquire()
                .await
                .map(Session::Sqlite)
                .map_err(unavailable),
            Self::Postgres(database) => database.reader().await.map(Session::Postgres),
        }
    }

    /// A connection that reads for callers of a tenant, and sees the rows of no other.
    pub(crate) async fn reader_for(&self, tenant: &TenantId) -> Result<Session, StorageError> {
        match self {
            Self::Postgres(database) => database.reader_for(tenant).await.map(Session::Postgres),
            Self::Sqlite { .. } => self.reader().await,
        }
    }

    /// Closes every connection; what is open is finished first.
    pub(crate) async fn close(&self, timeout: Duration) {
        let close = async {
            match self {
                Self::Sqlite { writer, reader } => {
                    reader.close().await;
                    writer.close().await;
                }
                Self::Postgres(database) => database.close().await,
            }
        };
        if tokio::time::timeout(timeout, close).await.is_err() {
            tracing::warn!("the database does not let connections go in time");
        }
    }
}

/// What only one transaction does at a time, whichever the instance.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WholeLock {
    Partitions = 0,
    Keys = 1,
    Control = 2,
    Notifications = 3,
}

/// A connection or a transaction. A transaction that is dropped is rolled back.
pub(crate) enum Session {
    Sqlite(PoolConnection<Sqlite>),
    /// The one that writes to SQLite.
    SqliteTransaction(SqliteSession),
    Postgres(PgSession),
}

impl Session {
    /// Begins a query: its parameters are bound in order, then it is run.
    pub(crate) fn query(&mut self, statement: impl Into<Sql>) -> Query<'_> {
        Query::new(self, statement.into())
    }

    /// Whether this is PostgreSQL, where several instances work at once.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Runs a statement of PostgreSQL that is made up of nothing from outside, and begins a transaction with it if none has begun.
    pub(crate) async fn begin_with(&mut self, statement: &str) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(_) | Self::SqliteTransaction(_) => Ok(()),
            Self::Postgres(session) => session.begin_with(statement).await,
        }
    }

    /// Waits until no other transaction has the lock; it is held until the end of the transaction. SQLite has one writer
    /// anyway.
    pub(crate) async fn take_lock(&mut self, lock: WholeLock) -> Result<(), StorageError> {
        if !self.is_shared() {
            return Ok(());
        }
        self.query("SELECT pg_advisory_xact_lock(20039, $1::int)")
            .bind(lock as i64)
            .execute()
            .await
            .map(drop)
    }

    /// Whether what was done is undone unless it is committed.
    pub(crate) const fn is_in_transaction(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::SqliteTransaction(_) => true,
            Self::Postgres(session) => session.is_in_transaction(),
        }
    }

    /// Whether the server has ended the connection, or it was lost, in less than the time of a transaction.
    pub(crate) fn was_cut(&self) -> bool {
        match self {
            Self::Sqlite(_) | Self::SqliteTransaction(_) => false,
            Self::Postgres(session) => session.was_cut(),
        }
    }

    /// What the error of a statement means: where the statement was a transaction of its own, it may have been committed unless the
    /// database says what was wrong with it.
    pub(crate) fn explain(&self, error: StorageError) -> StorageError {
        let may_have_committed = match self {
            Self::Sqlite(_) | Self::SqliteTransaction(_) => false,
            Self::Postgres(session) => session.may_have_committed(),
        };
        match error {
            StorageError::Unavailable(source) if may_have_committed => {
                StorageError::OutcomeUnknown(source)
            }
            error => error,
        }
    }

    /// Makes what the transaction did durable.
    pub(crate) async fn commit(self) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::SqliteTransaction(transaction) => transaction.commit(),
            Self::Postgres(session) => session.commit().await,
        }
    }

    /// Undoes what the transaction did, so that nobody waits for it any more, and gives what there is to say instead.
    pub(crate) async fn give_up<T>(self, instead: T) -> Result<T, StorageError> {
        self.roll_back().await?;
        Ok(instead)
    }

    /// Undoes what the transaction did.
    pub(crate) async fn roll_back(self) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::SqliteTransaction(transaction) => transaction.roll_back(),
            Self::Postgres(session) => session.roll_back().await,
        }
    }
}

/// The kinds of arguments: `Arguments` of each database.
pub(crate) type PgArguments = <Postgres as sqlx::Database>::Arguments;
pub(crate) type SqliteArguments = <Sqlite as sqlx::Database>::Arguments;
