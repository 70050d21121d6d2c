//! Many rows at once.

use guard_app::ports::StorageError;
use uuid::Uuid;

use super::{Query, Session};

/// A value of a column of a new row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell<'a> {
    Text(Option<&'a str>),
    Number(Option<i64>),
    Id(Option<Uuid>),
    Bytes(Option<&'a [u8]>),
    Flag(Option<bool>),
}

impl Cell<'static> {
    /// No value of a kind.
    pub(crate) const TEXT: Self = Self::Text(None);
    pub(crate) const NUMBER: Self = Self::Number(None);
    pub(crate) const ID: Self = Self::Id(None);
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Uuid> for Cell<'_> {
    fn from(id: Uuid) -> Self {
        Self::Id(Some(id))
    }
}

impl<'a> From<&'a [u8]> for Cell<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Some(bytes))
    }
}

/// The insertion of rows into a table: for SQLite one row's parameters, for PostgreSQL an array for each column. [`insert!`] makes one.
#[derive(Debug)]
pub(crate) struct Insert {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// An [`Insert`]: the table with its columns, the row's parameters for SQLite, the columns' arrays for PostgreSQL, and what
/// follows both.
macro_rules! insert {
    ($into:expr, $row:literal, $arrays:literal, $tail:expr) => {
        $crate::database::Insert {
            sqlite: concat!("INSERT INTO ", $into, " VALUES ", $row, " ", $tail),
            postgres: concat!(
                "INSERT INTO ",
                $into,
                " SELECT * FROM UNNEST(",
                $arrays,
                ") ",
                $tail
            ),
        }
    };
}
pub(crate) use insert;

impl Session {
    /// Inserts rows, which have their cells in the order of the statement's parameters.
    pub(crate) async fn insert<const N: usize>(
        &mut self,
        statement: &'static Insert,
        rows: &[[Cell<'_>; N]],
    ) -> Result<(), StorageError> {
        let Some(kinds) = rows.first() else {
            return Ok(());
        };
        if let Self::SqliteTransaction(session) = self {
            return session.insert(statement.sqlite, rows);
        }
        let query = self.query(statement.postgres).bind_columns(kinds, rows);
        query.execute().await.map(drop)
    }
}

impl Query<'_> {
    /// Binds an array for each column of some rows, which PostgreSQL makes rows of again. It takes what a shorter array lacks for NULL:
    /// hence none for a column without values. The kinds tell of what an array is that has none.
    pub(crate) fn bind_columns<const N: usize>(
        mut self,
        kinds: &[Cell<'_>; N],
        rows: &[[Cell<'_>; N]],
    ) -> Self {
        /// One column of all rows.
        macro_rules! column {
            ($place:expr, $kind:ident) => {{
                let values = rows.iter().map(|row| match row.get($place) {
                    Some(Cell::$kind(value)) => *value,
                    _ => None,
                });
                let mut values: Vec<_> = values.collect();
                if values.iter().all(Option::is_none) {
                    values.clear();
                }
                values
            }};
        }
        for (place, cell) in kinds.iter().enumerate() {
            self = match cell {
                Cell::Text(_) => self.bind_array(column!(place, Text)),
                Cell::Number(_) => self.bind_array(column!(place, Number)),
                Cell::Id(_) => self.bind_array(column!(place, Id)),
                Cell::Bytes(_) => self.bind_array(column!(place, Bytes)),
                Cell::Flag(_) => self.bind_array(column!(place, Flag)),
            };
        }
        self
    }
}
