//! Statements with their parameters.

use guard_app::ports::StorageError;
use sqlx::{Arguments as _, Encode, Postgres, Sqlite, Type};
use tokio::time::timeout_at;

use super::{Column, PgArguments, Row, Session, Sql, SqliteArguments};
use crate::error::unavailable;

/// What can be a parameter.
pub(crate) trait Value<'q>:
    Encode<'q, Sqlite> + Type<Sqlite> + Encode<'q, Postgres> + Type<Postgres>
{
}

impl<'q, T> Value<'q> for T where
    T: Encode<'q, Sqlite> + Type<Sqlite> + Encode<'q, Postgres> + Type<Postgres>
{
}

enum Parameters {
    Sqlite(SqliteArguments),
    Postgres(PgArguments),
}

/// A statement that is about to be run.
#[must_use = "it is not run yet"]
pub(crate) struct Query<'s> {
    session: &'s mut Session,
    statement: Sql,
    parameters: Parameters,
    /// The first parameter that could not be encoded.
    wrong: Option<sqlx::Error>,
}

/// Runs a statement on whatever the session is, as `$method` of sqlx does.
macro_rules! run {
    ($query:expr, $method:ident) => {{
        let Query {
            session,
            statement,
            parameters,
            wrong,
        } = $query;
        if let Some(error) = wrong {
            return Err(unavailable(error));
        }
        match (session, parameters) {
            (Session::Sqlite(connection), Parameters::Sqlite(arguments)) => {
                let query = sqlx::query_with(statement.sqlite, arguments);
                Ran::Sqlite(
                    query
                        .$method(&mut **connection)
                        .await
                        .map_err(unavailable)?,
                )
            }
            (Session::SqliteTransaction(connection), Parameters::Sqlite(arguments)) => {
                let query = sqlx::query_with(statement.sqlite, arguments);
                Ran::Sqlite(
                    query
                        .$method(&mut **connection)
                        .await
                        .map_err(unavailable)?,
                )
            }
            (Session::Postgres(session), Parameters::Postgres(arguments)) => {
                let persistent = session.may_prepare();
                let query = sqlx::query_with(statement.postgres, arguments).persistent(persistent);
                let (connection, deadline) = session.begin_statement()?;
                let done = timeout_at(deadline, query.$method(connection)).await;
                Ran::Postgres(session.end_statement(done)?)
            }
            _ => unreachable!("parameters are made for the session"),
        }
    }};
}

/// What a statement came to in either database.
enum Ran<S, P> {
    Sqlite(S),
    Postgres(P),
}

impl<'s> Query<'s> {
    pub(super) fn new(session: &'s mut Session, statement: Sql) -> Self {
        let parameters = match session {
            Session::Sqlite(_) | Session::SqliteTransaction(_) => {
                Parameters::Sqlite(SqliteArguments::default())
            }
            Session::Postgres(_) => Parameters::Postgres(PgArguments::default()),
        };
        Self {
            session,
            statement,
            parameters,
            wrong: None,
        }
    }

    /// Binds the next parameter.
    pub(crate) fn bind<'q, T: Value<'q>>(mut self, value: T) -> Self {
        let added = match &mut self.parameters {
            Parameters::Sqlite(arguments) => arguments.add(value),
            Parameters::Postgres(arguments) => arguments.add(value),
        };
        if let Err(error) = added {
            self.wrong.get_or_insert(sqlx::Error::Encode(error));
        }
        self
    }

    /// Binds the next parameter if this is PostgreSQL, for statements of its that have more of them.
    pub(super) fn bind_array<'q, T>(mut self, values: T) -> Self
    where
        T: Encode<'q, Postgres> + Type<Postgres>,
    {
        if let Parameters::Postgres(arguments) = &mut self.parameters
            && let Err(error) = arguments.add(values)
        {
            self.wrong.get_or_insert(sqlx::Error::Encode(error));
        }
        self
    }

    /// Runs it; gives the number of rows that it changed.
    pub(crate) async fn execute(self) -> Result<u64, StorageError> {
        Ok(match run!(self, execute) {
            Ran::Sqlite(done) => done.rows_affected(),
            Ran::Postgres(done) => done.rows_affected(),
        })
    }

    /// Every row.
    pub(crate) async fn fetch_all(self) -> Result<Vec<Row>, StorageError> {
        Ok(match run!(self, fetch_all) {
            Ran::Sqlite(rows) => rows.into_iter().map(Row::Sqlite).collect(),
            Ran::Postgres(rows) => rows.into_iter().map(Row::Postgres).collect(),
        })
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional(self) -> Result<Option<Row>, StorageError> {
        Ok(match run!(self, fetch_optional) {
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
