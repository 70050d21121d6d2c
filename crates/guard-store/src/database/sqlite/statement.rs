//! Running statements on a connection.

use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{CachedStatement, Connection, Result, Rows, ToSql};

use crate::database::insert::Cell;

/// A row, of which the connection knows nothing any more.
pub(crate) struct SqliteRow {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl SqliteRow {
    /// The value of a column.
    pub(in crate::database) fn value(&self, column: &str) -> Option<ValueRef<'_>> {
        let place = self.columns.iter().position(|name| name == column)?;
        self.values.get(place).map(ValueRef::from)
    }

    /// The value of the first column.
    pub(in crate::database) fn first(&self) -> Option<ValueRef<'_>> {
        self.values.first().map(ValueRef::from)
    }
}

/// Runs a statement; gives the number of rows that it changed.
pub(super) fn execute(
    connection: &Connection,
    statement: &str,
    parameters: &[Value],
) -> Result<u64> {
    let mut statement = connection.prepare_cached(statement)?;
    let mut rows = query(&mut statement, parameters)?;
    while rows.next()?.is_some() {}
    Ok(connection.changes())
}

/// Runs a statement; gives every row.
pub(super) fn fetch_all(
    connection: &Connection,
    statement: &str,
    parameters: &[Value],
) -> Result<Vec<SqliteRow>> {
    let mut statement = connection.prepare_cached(statement)?;
    let columns: Arc<[String]> = statement
        .column_names()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut rows = query(&mut statement, parameters)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let values = (0..columns.len()).map(|place| row.get_ref(place).map(owned));
        found.push(SqliteRow {
            columns: columns.clone(),
            values: values.collect::<Result<_>>()?,
        });
    }
    Ok(found)
}

/// A value by itself. A text that is damaged is none: whoever reads its column is told so, and nobody who reads another one of its row.
fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Blob(text.to_vec()),
        },
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// Runs a statement once for each row of parameters.
pub(super) fn insert<const N: usize>(
    connection: &Connection,
    statement: &str,
    rows: &[[Cell<'_>; N]],
) -> Result<()> {
    let mut statement = connection.prepare_cached(statement)?;
    let expected = statement.parameter_count();
    if expected != N {
        return Err(rusqlite::Error::InvalidParameterCount(N, expected));
    }
    let mut above: Option<&[Cell<'_>; N]> = None;
    for row in rows {
        for (place, cell) in row.iter().enumerate() {
            // What is bound stays bound: rows have much in common.
            if above.and_then(|above| above.get(place)) != Some(cell) {
                statement.raw_bind_parameter(place + 1, cell)?;
            }
        }
        statement.raw_execute()?;
        above = Some(row);
    }
    Ok(())
}

/// Binds parameters. `$2` is the second one wherever it stands, as in PostgreSQL, while SQLite counts the first parameter that it meets
/// as the first.
fn query<'s>(statement: &'s mut CachedStatement<'_>, parameters: &[Value]) -> Result<Rows<'s>> {
    for place in 1..=statement.parameter_count() {
        let name = statement.parameter_name(place);
        let number = name.and_then(|name| name.strip_prefix('$')?.parse().ok());
        let number: usize = number.unwrap_or(place);
        let parameter = number.checked_sub(1).and_then(|at| parameters.get(at));
        let parameter = parameter.ok_or(rusqlite::Error::InvalidParameterCount(
            parameters.len(),
            number,
        ))?;
        statement.raw_bind_parameter(place, parameter)?;
    }
    Ok(statement.raw_query())
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        let value = match self {
            Cell::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Cell::Number(Some(number)) => ValueRef::Integer(*number),
            Cell::Id(Some(id)) => ValueRef::Blob(id.as_bytes()),
            Cell::Bytes(Some(bytes)) => ValueRef::Blob(bytes),
            Cell::Flag(Some(flag)) => ValueRef::Integer((*flag).into()),
            Cell::Text(None)
            | Cell::Number(None)
            | Cell::Id(None)
            | Cell::Bytes(None)
            | Cell::Flag(None) => ValueRef::Null,
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}
