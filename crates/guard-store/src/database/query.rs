//! Statements with their parameters.

use guard_app::ports::StorageError;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, Value as SqliteValue};
use sqlx::error::BoxDynError;
use sqlx::{Arguments as _, Encode, Postgres, Sqlite, SqliteConnection, Type};
use tokio::time::timeout_at;

use super::{Column, PgArguments, PgSession, Row, Session, Sql, SqliteArguments, SqliteSession};
use crate::error::unavailable;

/// What can be a parameter.
pub(crate) trait Value<'q>:
    Encode<'q, Sqlite> + Type<Sqlite> + Encode<'q, Postgres> + Type<Postgres> + ToSql
{
}

impl<'q, T> Value<'q> for T where
    T: Encode<'q, Sqlite> + Type<Sqlite> + Encode<'q, Postgres> + Type<Postgres> + ToSql
{
}

/// The connection, and the parameters as its database takes them.
enum Target<'s> {
    /// The one that writes to SQLite.
    Writer(&'s mut SqliteSession, Vec<SqliteValue>),
    Sqlite(&'s mut SqliteConnection, SqliteArguments),
    Postgres(&'s mut PgSession, PgArguments),
}

/// A statement that is about to be run.
#[must_use = "it is not run yet"]
pub(crate) struct Query<'s> {
    statement: Sql,
    target: Target<'s>,
    /// The first parameter that could not be encoded.
    wrong: Option<sqlx::Error>,
}

/// What a statement came to in either database.
enum Ran<W, S, P> {
    Writer(W),
    Sqlite(S),
    Postgres(P),
}

/// Runs a statement on whatever the session is, as `$method` of sqlx does.
macro_rules! run {
    ($query:expr, $method:ident) => {{
        if let Some(error) = $query.wrong {
            return Err(unavailable(error));
        }
        match $query.target {
            Target::Writer(session, parameters) => {
                Ran::Writer(session.$method($query.statement.sqlite, &parameters)?)
            }
            Target::Sqlite(connection, parameters) => {
                let query = sqlx::query_with($query.statement.sqlite, parameters);
                Ran::Sqlite(query.$method(connection).await.map_err(unavailable)?)
            }
            Target::Postgres(session, parameters) => {
                let query = sqlx::query_with($query.statement.postgres, parameters)
                    .persistent(session.may_prepare());
                let (connection, deadline) = session.begin_statement()?;
                let done = timeout_at(deadline, query.$method(connection)).await;
                Ran::Postgres(session.end_statement(done)?)
            }
        }
    }};
}

impl<'s> Query<'s> {
    pub(super) fn new(session: &'s mut Session, statement: Sql) -> Self {
        let target = match session {
            Session::Sqlite(connection) => Target::Sqlite(connection, SqliteArguments::default()),
            Session::SqliteTransaction(session) => Target::Writer(session, Vec::new()),
            Session::Postgres(session) => Target::Postgres(session, PgArguments::default()),
        };
        Self {
            statement,
            target,
            wrong: None,
        }
    }

    /// Binds the next parameter.
    pub(crate) fn bind<'q, T: Value<'q>>(mut self, value: T) -> Self {
        let added = match &mut self.target {
            Target::Writer(_, parameters) => owned(&value).map(|value| parameters.push(value)),
            Target::Sqlite(_, arguments) => arguments.add(value),
            Target::Postgres(_, arguments) => arguments.add(value),
        };
        self.note(added);
        self
    }

    /// Binds the next parameter of a statement of PostgreSQL that takes arrays.
    pub(crate) fn bind_array<'q, T>(mut self, values: T) -> Self
    where
        T: Encode<'q, Postgres> + Type<Postgres>,
    {
        let added = match &mut self.target {
            Target::Writer(..) | Target::Sqlite(..) => Ok(()),
            Target::Postgres(_, arguments) => arguments.add(values),
        };
        self.note(added);
        self
    }

    fn note(&mut self, added: Result<(), BoxDynError>) {
        if let Err(error) = added {
            self.wrong.get_or_insert(sqlx::Error::Encode(error));
        }
    }

    /// Runs it; gives the number of rows that it changed.
    pub(crate) async fn execute(self) -> Result<u64, StorageError> {
        Ok(match run!(self, execute) {
            Ran::Writer(changed) => changed,
            Ran::Sqlite(done) => done.rows_affected(),
            Ran::Postgres(done) => done.rows_affected(),
        })
    }

    /// Every row.
    pub(crate) async fn fetch_all(self) -> Result<Vec<Row>, StorageError> {
        Ok(match run!(self, fetch_all) {
            Ran::Writer(rows) => rows.into_iter().map(Row::Written).collect(),
            Ran::Sqlite(rows) => rows.into_iter().map(Row::Sqlite).collect(),
            Ran::Postgres(rows) => rows.into_iter().map(Row::Postgres).collect(),
        })
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional(self) -> Result<Option<Row>, StorageError> {
        Ok(match run!(self, fetch_optional) {
            Ran::Writer(row) => row.map(Row::Written),
            Ran::Sqlite(row) => row.map(Row::Sqlite),
            Ran::Postgres(row) => row.map(Row::Postgres),
        })
    }

    /// The first row; there must be one.
    pub(crate) async fn fetch_one(self) -> Result<Row, StorageError> {
        self.fetch_optional()
            .await?
            .ok_or_else(|| unavailable(sqlx::Error::RowNotFound))
    }

    /// The first column of the first row; there must be one.
    pub(crate) async fn scalar<T: for<'r> Column<'r>>(self) -> Result<T, StorageError> {
        self.fetch_one().await?.first()
    }

    /// The first column of the first row, if there is one.
    pub(crate) async fn optional_scalar<T: for<'r> Column<'r>>(
        self,
    ) -> Result<Option<T>, StorageError> {
        self.fetch_optional()
            .await?
            .map(|row| row.first())
            .transpose()
    }
}

/// A parameter for the one that writes to SQLite.
fn owned(value: &impl ToSql) -> Result<SqliteValue, BoxDynError> {
    match value.to_sql()? {
        ToSqlOutput::Borrowed(value) => Ok(value.try_into()?),
        ToSqlOutput::Owned(value) => Ok(value),
        _ => Err("SQLite takes no such parameter".into()),
    }
}
