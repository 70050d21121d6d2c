//! What all storage ports share.

use thiserror::Error;

/// Who does something, for the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The subject of the principal, or the part of the system, for example `key:api` or `system:start`.
    pub subject: String,
    /// The id of the request, if one was made.
    pub request_id: Option<String>,
}

impl Actor {
    /// A part of the system itself.
    #[must_use]
    pub fn system(part: &str) -> Self {
        Self {
            subject: format!("system:{part}"),
            request_id: None,
        }
    }
}

/// Why storage did not do what it was asked.
#[derive(Debug, Error)]
pub enum StorageError {
    /// It cannot be reached, is locked, is full, or took too long. Nothing was written.
    #[error("the database is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The connection was lost during a commit: it may have taken effect.
    #[error("it is unknown whether the commit took effect")]
    OutcomeUnknown(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is stored breaks an invariant.
    #[error("inconsistent data in `{table}.{column}` of `{key}`: {detail}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The key of the row.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
}
