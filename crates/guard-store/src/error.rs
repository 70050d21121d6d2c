//! What can go wrong with a database.

use std::borrow::Cow;
use std::path::PathBuf;

use guard_app::ports::StorageError;
use sqlx::error::DatabaseError;
use thiserror::Error;

/// What a library of a database says.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Why a database cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file cannot be opened or created, or the server cannot be reached.
    #[error("the database `{database}` cannot be opened")]
    Connect {
        /// The file, or where the server is.
        database: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The schema cannot be brought up to date.
    #[error("the database `{database}` cannot be migrated")]
    Migrate {
        /// The file, or where the server is.
        database: String,
        /// Why.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// What the server keeps ready cannot be made.
    #[error("the database `{database}` cannot be prepared")]
    Prepare {
        /// Where the server is.
        database: String,
        /// Why.
        #[source]
        source: StorageError,
    },
    /// The tables are under row-level security, and the server is none of those who see all rows.
    #[error("the database `{database}` shows its rows to others only; as a superuser: {way_in}")]
    LockedOut {
        /// Where the server is.
        database: String,
        /// The statement that lets the server in.
        way_in: String,
    },
}

/// Why a database cannot be locked.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another server has it.
    #[error(
        "the database `{0}` is in use by another server; stop that one, or give this one a database of its own"
    )]
    InUse(PathBuf),
    /// The lock file cannot be opened.
    #[error("the lock file `{path}` cannot be opened")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A statement that failed: its transaction is rolled back.
pub(crate) fn unavailable(error: impl Into<Failure>) -> StorageError {
    StorageError::Unavailable(error.into())
}

/// A commit that failed: it may have taken effect.
pub(crate) fn outcome_unknown(error: impl Into<Failure>) -> StorageError {
    StorageError::OutcomeUnknown(error.into())
}

/// What PostgreSQL says about what it refused.
fn refusal(error: &StorageError) -> Option<&dyn DatabaseError> {
    match cause(error)? {
        sqlx::Error::Database(error) => Some(error.as_ref()),
        _ => None,
    }
}

/// The code of what a database refused: of SQLite a number, of PostgreSQL five letters or digits.
fn code(error: &StorageError) -> Option<Cow<'_, str>> {
    if let Some(rusqlite::Error::SqliteFailure(error, _)) = cause(error) {
        return Some(error.extended_code.to_string().into());
    }
    refusal(error)?.code()
}

/// What a library says about a statement that failed.
fn cause<E: std::error::Error + 'static>(error: &StorageError) -> Option<&E> {
    match error {
        StorageError::Unavailable(source) => source.downcast_ref(),
        _ => None,
    }
}

/// Whether the server lets others do this, but not us.
pub(crate) fn is_forbidden(error: &sqlx::Error) -> bool {
    // SQLSTATE: insufficient privilege.
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some("42501"))
}

/// Whether the data of a row caused the error, rather than the state of the database.
pub(crate) fn is_data_error(error: &StorageError) -> bool {
    if let StorageError::Inconsistent { .. } = error {
        return true;
    }
    let Some(code) = code(error) else {
        return false;
    };
    match (code.len(), code.parse::<u32>()) {
        // SQLSTATE: 21 cardinality, 22 data, 23 integrity, 54 limits; 53200 too many locks.
        (5, _) => matches!(code.get(..2), Some("21" | "22" | "23" | "54")) || code == "53200",
        // Primary result codes of SQLite: 18 TOOBIG, 19 CONSTRAINT, 20 MISMATCH.
        (_, Ok(code)) => matches!(code & 0xff, 18..=20),
        _ => false,
    }
}

/// Whether nothing but bad luck stood in the way: the same again may succeed.
pub(crate) fn is_collision(error: &StorageError) -> bool {
    // SQLSTATE: a serialisation failure, a deadlock.
    matches!(code(error).as_deref(), Some("40001" | "40P01"))
}

/// Whether somebody else had a lock for longer than it was waited for.
pub(crate) fn is_locked(error: &StorageError) -> bool {
    code(error).as_deref() == Some("55P03")
}

/// Whether a row has no partition to go to.
pub(crate) fn lacks_partition(error: &StorageError) -> bool {
    code(error).as_deref() == Some("23514")
        && refusal(error).is_some_and(|refusal| refusal.constraint().is_none())
}
