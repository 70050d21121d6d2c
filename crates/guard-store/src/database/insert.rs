//! Many rows at once.

use guard_app::ports::StorageError;
use uuid::Uuid;

use super::{Session, Sql};

/// A value of a column of a new row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    Text(Option<&'a str>),
    Number(Option<i64>),
    Id(Option<Uuid>),
    Bytes(Option<&'a [u8]>),
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

impl Session {
    /// Inserts rows, which have their cells in the order of the statement's parameters. For SQLite the statement takes one row,
    /// for PostgreSQL one array for each column.
    pub(crate) async fn insert<const N: usize>(
        &mut self,
        statement: Sql,
        rows: &[[Cell<'_>; N]],
    ) -> Result<(), StorageError> {
        let Some(first) = rows.first() else {
            return Ok(());
        };
        if !self.is_shared() {
            for row in rows {
                let mut query = self.query(statement);
                for cell in row {
                    query = match *cell {
                        Cell::Text(text) => query.bind(text),
                        Cell::Number(number) => query.bind(number),
                        Cell::Id(id) => query.bind(id),
                        Cell::Bytes(bytes) => query.bind(bytes),
                    };
                }
                query.execute().await?;
            }
            return Ok(());
        }
        /// One column of all rows.
        macro_rules! column {
            ($place:expr, $kind:ident) => {
                rows.iter()
                    .map(|row| match row.get($place) {
                        Some(Cell::$kind(value)) => *value,
                        _ => None,
                    })
                    .collect::<Vec<_>>()
            };
        }
        let mut query = self.query(statement);
        for (place, cell) in first.iter().enumerate() {
            query = match cell {
                Cell::Text(_) => query.bind_array(column!(place, Text)),
                Cell::Number(_) => query.bind_array(column!(place, Number)),
                Cell::Id(_) => query.bind_array(column!(place, Id)),
                Cell::Bytes(_) => query.bind_array(column!(place, Bytes)),
            };
        }
        query.execute().await.map(drop)
    }
}
