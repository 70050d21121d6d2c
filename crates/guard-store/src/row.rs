//! Values of columns to values of the domain.

use chrono::{DateTime, Utc};
use guard_app::ports::StorageError;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::error::unavailable;

/// A moment as it is stored.
pub(crate) fn micros(moment: DateTime<Utc>) -> i64 {
    moment.timestamp_micros()
}

/// The widest moment that is stored.
pub(crate) fn moment(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Reads the columns of one row; an error names table, column and key.
pub(crate) struct Columns<'r> {
    row: &'r SqliteRow,
    table: &'static str,
    key: String,
}

impl<'r> Columns<'r> {
    /// The columns of a row of a table whose `key` column is a UUID.
    pub(crate) fn new(row: &'r SqliteRow, table: &'static str, key: &str) -> Self {
        let key = row
            .try_get::<Uuid, _>(key)
            .map(|id| id.to_string())
            .unwrap_or_default();
        Self { row, table, key }
    }

    pub(crate) fn get<T>(&self, column: &'static str) -> Result<T, StorageError>
    where
        T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        self.row.try_get(column).map_err(|error| match error {
            error @ sqlx::Error::ColumnDecode { .. } => self.wrong(column, error.to_string()),
            other => unavailable(other),
        })
    }

    /// A text that `parse` makes something of.
    pub(crate) fn parse<T, E: ToString>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, StorageError> {
        let text: &str = self.get(column)?;
        parse(text).map_err(|error| self.wrong(column, error.to_string()))
    }

    /// As [`Columns::parse`], of a column that may be null.
    pub(crate) fn parse_optional<T, E: ToString>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, StorageError> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| parse(text).map_err(|error| self.wrong(column, error.to_string())))
            .transpose()
    }

    pub(crate) fn moment(&self, column: &'static str) -> Result<DateTime<Utc>, StorageError> {
        self.get(column).map(moment)
    }

    pub(crate) fn optional_moment(
        &self,
        column: &'static str,
    ) -> Result<Option<DateTime<Utc>>, StorageError> {
        self.get::<Option<i64>>(column)
            .map(|found| found.map(moment))
    }

    pub(crate) fn unsigned<T: TryFrom<i64>>(
        &self,
        column: &'static str,
    ) -> Result<T, StorageError> {
        let number: i64 = self.get(column)?;
        T::try_from(number).map_err(|_| self.wrong(column, format!("{number} is out of range")))
    }

    pub(crate) fn optional_unsigned<T: TryFrom<i64>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StorageError> {
        let number: Option<i64> = self.get(column)?;
        number
            .map(|number| {
                T::try_from(number)
                    .map_err(|_| self.wrong(column, format!("{number} is out of range")))
            })
            .transpose()
    }

    pub(crate) fn wrong(&self, column: &'static str, detail: String) -> StorageError {
        StorageError::Inconsistent {
            table: self.table,
            column,
            key: self.key.clone(),
            detail,
        }
    }
}
