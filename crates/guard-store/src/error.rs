//! What can go wrong with a database.

use std::path::PathBuf;

use guard_app::ports::StorageError;
use thiserror::Error;

/// Why a database cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file cannot be opened or created.
    #[error("the database `{path}` cannot be opened")]
    Connect {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The schema cannot be brought up to date.
    #[error("the database `{path}` cannot be migrated")]
    Migrate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::migrate::MigrateError,
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
pub(crate) fn unavailable(error: sqlx::Error) -> StorageError {
    StorageError::Unavailable(error.into())
}

/// A commit that failed: it may have taken effect.
pub(crate) fn outcome_unknown(error: sqlx::Error) -> StorageError {
    StorageError::OutcomeUnknown(error.into())
}

/// Whether the data of a row caused the error, rather than the state of the database.
pub(crate) fn is_data_error(error: &StorageError) -> bool {
    let source = match error {
        StorageError::Unavailable(source) => source,
        StorageError::Inconsistent { .. } => return true,
        StorageError::OutcomeUnknown(_) => return false,
    };
    let Some(sqlx::Error::Database(error)) = source.downcast_ref::<sqlx::Error>() else {
        return false;
    };
    // Primary result codes of SQLite: 18 TOOBIG, 19 CONSTRAINT, 20 MISMATCH.
    let code = error.code().and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 18..=20))
}
