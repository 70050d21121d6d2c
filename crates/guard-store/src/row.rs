//! Values of columns to values of the domain.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use guard_app::ports::StorageError;
use guard_audit::{hex, sha256};
use uuid::Uuid;

use crate::database::{Column, Row};
use crate::error::unavailable;

/// The longest text that is stored as a cooldown value as it is; longer ones are stored as their SHA-256.
const MAX_VALUE_BYTES: usize = 256;

/// A moment as it is stored.
pub(crate) fn micros(moment: DateTime<Utc>) -> i64 {
    moment.timestamp_micros()
}

/// The widest moment that is stored.
pub(crate) fn moment(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// A text as it is stored: PostgreSQL knows no NUL.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        return Cow::Owned(text.replace('\0', "\u{fffd}"));
    }
    Cow::Borrowed(text)
}

/// A cooldown or window value as it is stored: bounded in length. It is JSON text, which has no NUL.
pub(crate) fn stored_value(value: &str) -> Cow<'_, str> {
    if value.len() <= MAX_VALUE_BYTES {
        return Cow::Borrowed(value);
    }
    Cow::Owned(format!("sha256:{}", hex(&sha256(value))))
}

/// Reads the columns of one row; an error names table, column and key.
pub(crate) struct Columns<'r> {
    row: &'r Row,
    table: &'static str,
    key: String,
}

impl<'r> Columns<'r> {
    /// The columns of a row of a table whose `key` column is a UUID.
    pub(crate) fn new(row: &'r Row, table: &'static str, key: &str) -> Self {
        let key = row
            .get::<Uuid>(key)
            .map(|id| id.to_string())
            .unwrap_or_default();
        Self { row, table, key }
    }

    pub(crate) fn get<T>(&self, column: &'static str) -> Result<T, StorageError>
    where
        T: Column<'r>,
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
