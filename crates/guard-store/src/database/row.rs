//! Rows of either database.

use guard_app::ports::StorageError;
use rusqlite::types::{FromSqlError, FromSqlResult, ValueRef};
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};
use uuid::Uuid;

use super::SqliteRow;
use crate::error::unavailable;

/// What a column can be read as.
pub(crate) trait Column<'r>:
    Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres> + FromValue<'r>
{
}

impl<'r, T> Column<'r> for T where
    T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres> + FromValue<'r>
{
}

/// What a value of a row that the writer of SQLite has read can be read as.
pub(crate) trait FromValue<'r>: Sized {
    fn from_value(value: ValueRef<'r>) -> FromSqlResult<Self>;
}

impl<'r, T: FromValue<'r>> FromValue<'r> for Option<T> {
    fn from_value(value: ValueRef<'r>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl FromValue<'_> for i64 {
    fn from_value(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64()
    }
}

impl FromValue<'_> for bool {
    fn from_value(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(|number| number != 0)
    }
}

impl<'r> FromValue<'r> for &'r [u8] {
    fn from_value(value: ValueRef<'r>) -> FromSqlResult<Self> {
        value.as_blob()
    }
}

impl<'r> FromValue<'r> for &'r str {
    fn from_value(value: ValueRef<'r>) -> FromSqlResult<Self> {
        value.as_str()
    }
}

impl FromValue<'_> for String {
    fn from_value(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl FromValue<'_> for Vec<u8> {
    fn from_value(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_blob().map(<[u8]>::to_vec)
    }
}

impl FromValue<'_> for Uuid {
    fn from_value(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::from_slice(value.as_blob()?).map_err(FromSqlError::other)
    }
}

/// A row.
pub(crate) enum Row {
    /// Read by the writer.
    Written(SqliteRow),
    Sqlite(sqlx::sqlite::SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The value of a column.
    pub(crate) fn get<'r, T: Column<'r>>(&'r self, column: &str) -> Result<T, StorageError> {
        self.try_get(column).map_err(unavailable)
    }

    pub(crate) fn try_get<'r, T: Column<'r>>(&'r self, column: &str) -> Result<T, sqlx::Error> {
        match self {
            Self::Written(row) => read(column, row.value(column)),
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    /// The value of the first column.
    pub(super) fn first<T: for<'r> Column<'r>>(&self) -> Result<T, StorageError> {
        match self {
            Self::Written(row) => read("0", row.first()),
            Self::Sqlite(row) => row.try_get(0),
            Self::Postgres(row) => row.try_get(0),
        }
        .map_err(unavailable)
    }
}

/// What there is in a column.
fn read<'r, T: FromValue<'r>>(column: &str, value: Option<ValueRef<'r>>) -> Result<T, sqlx::Error> {
    let value = value.ok_or_else(|| sqlx::Error::ColumnNotFound(column.to_owned()))?;
    T::from_value(value).map_err(|error| sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: error.into(),
    })
}
