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
    /// A text that no row lacks and most rows share, see [`Query::bind_compactly`].
    Common(&'a str),
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
    ($into:literal, $row:literal, $arrays:literal, $tail:literal) => {
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
        if rows.is_empty() {
            return Ok(());
        }
        if let Self::SqliteTransaction(session) = self {
            return session.insert(statement.sqlite, rows);
        }
        let query = self.query(statement.postgres).bind_columns(rows);
        query.execute().await.map(drop)
    }
}

impl Query<'_> {
    /// Binds an array for each column of some rows, which PostgreSQL makes rows of again. It takes what a shorter array lacks for NULL:
    /// hence none for a column without values, which most events leave some of.
    pub(crate) fn bind_columns<const N: usize>(self, rows: &[[Cell<'_>; N]]) -> Self {
        self.bind_all_columns(rows, false)
    }

    /// As [`Query::bind_columns`], but a column of [`Cell::Common`] is one text if all rows have the same: the statement takes the first
    /// text for every row that the array is too short for.
    pub(crate) fn bind_compactly<const N: usize>(self, rows: &[[Cell<'_>; N]]) -> Self {
        self.bind_all_columns(rows, true)
    }

    fn bind_all_columns<const N: usize>(mut self, rows: &[[Cell<'_>; N]], compact: bool) -> Self {
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
        let kinds = rows.first().into_iter().flatten();
        for (place, cell) in kinds.enumerate() {
            self = match cell {
                Cell::Text(_) => self.bind_array(column!(place, Text)),
                Cell::Number(_) => self.bind_array(column!(place, Number)),
                Cell::Id(_) => self.bind_array(column!(place, Id)),
                Cell::Bytes(_) => self.bind_array(column!(place, Bytes)),
                Cell::Flag(_) => self.bind_array(column!(place, Flag)),
                Cell::Common(_) => self.bind_array(common(rows, place, compact)),
            };
        }
        self
    }
}

/// A column of [`Cell::Common`], perhaps as one text if it is that of all rows.
fn common<'a, const N: usize>(rows: &[[Cell<'a>; N]], place: usize, compact: bool) -> Vec<&'a str> {
    let text = |row: &[Cell<'a>; N]| match row.get(place) {
        Some(Cell::Common(text)) => *text,
        _ => "",
    };
    let mut values: Vec<_> = rows.iter().map(text).collect();
    if compact && values.iter().all(|value| values.first() == Some(value)) {
        values.truncate(1);
    }
    values
}
