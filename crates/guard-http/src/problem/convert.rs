//! What goes wrong in the use cases, as problems.

use guard_app::ports::{AuthError, StorageError};
use guard_app::{
    CallbackError, CommitError, ExportError, IntakeError, KeyError, OperateError, PreviewError,
    QueryError, RehearseError, TenantError,
};
use guard_domain::{EventError, FieldError};
use http::StatusCode;

use super::Problem;
use crate::rate;

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the database failed a request"
        );
        match error {
            StorageError::Inconsistent { .. } => Self::internal(),
            StorageError::Unavailable(_) | StorageError::OutcomeUnknown(_) => Self::unavailable(
                "database-unavailable",
                "the database is unavailable, try again later",
                2,
            ),
        }
    }
}

impl From<CommitError> for Problem {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Overloaded => Self::unavailable(
                "overloaded",
                format!("{error}; nothing was recorded, try again"),
                1,
            ),
            CommitError::Unavailable => Self::unavailable(
                "database-unavailable",
                format!("{error}; nothing was recorded, try again"),
                2,
            ),
            CommitError::Stopping => Self::unavailable(
                "stopping",
                format!("{error}; nothing was recorded, try again"),
                1,
            ),
            CommitError::OutcomeUnknown => Self::unavailable(
                "outcome-unknown",
                format!("{error}: outcome unknown, retry with the same key"),
                1,
            ),
        }
    }
}

impl From<EventError> for Problem {
    fn from(error: EventError) -> Self {
        match error {
            EventError::Malformed(_) => Self::malformed(error.to_string()),
            EventError::Invalid(errors) => Self::invalid(errors),
        }
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Event(error) => error.into(),
            IntakeError::Commit(error) => error.into(),
            IntakeError::TwoKeys => Self::invalid_field("/id", error.to_string()),
            IntakeError::BadKey | IntakeError::Rejected(_) => {
                Self::invalid_field("", error.to_string())
            }
            IntakeError::RateLimited(standing) => Self::rate_limited(&error.to_string(), standing),
            IntakeError::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "Idempotency key reused",
                error.to_string(),
            ),
        }
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused => Self::unauthorized("the bearer token is not valid"),
            AuthError::TooMany(wait) => {
                let seconds = rate::seconds(wait).max(1);
                let detail = format!("{error}; try again in {seconds} s");
                Self::too_many("too-many-failed-logins", detail, seconds)
            }
            AuthError::Unavailable(error) => error.into(),
            AuthError::TenantDisabled(_) => {
                let detail = format!("{error}; an administrator of tenant `default` can enable it");
                Self::new(
                    StatusCode::FORBIDDEN,
                    "tenant-disabled",
                    "Tenant disabled",
                    detail,
                )
            }
            AuthError::UnknownTenant(_) => {
                let detail = format!(
                    "{error}; an administrator of tenant `default` can create it: POST /v1/tenants"
                );
                Self::new(
                    StatusCode::FORBIDDEN,
                    "unknown-tenant",
                    "Unknown tenant",
                    detail,
                )
            }
        }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Invalid(errors) => Self::invalid(errors),
            KeyError::OtherTenant => Self::forbidden(error.to_string()),
            KeyError::NotFound => Self::not_found(error.to_string()),
            KeyError::Query(error) => error.into(),
            KeyError::Storage(error) => error.into(),
        }
    }
}

impl From<TenantError> for Problem {
    fn from(error: TenantError) -> Self {
        match error {
            TenantError::Invalid(errors) => Self::invalid(errors),
            TenantError::NotYours => Self::forbidden(error.to_string()),
            TenantError::NotFound => Self::not_found(error.to_string()),
            TenantError::Exists(_) | TenantError::IsDefault => Self::conflict(error.to_string()),
            TenantError::Query(error) => error.into(),
            TenantError::Storage(error) => error.into(),
        }
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Part => Self::invalid_field("", error.to_string()),
            ExportError::OtherTenant => Self::forbidden(error.to_string()),
            ExportError::UnknownTenant => Self::not_found(error.to_string()),
            ExportError::Busy => {
                Self::unavailable("overloaded", format!("{error}; try again later"), 30)
            }
            ExportError::Storage(error) => error.into(),
            ExportError::Text(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the audit trail cannot be written out"
                );
                Self::internal()
            }
        }
    }
}

impl From<CallbackError> for Problem {
    fn from(error: CallbackError) -> Self {
        match error {
            CallbackError::Unauthorized => Self::unauthorized(error.to_string()),
            CallbackError::NotFound => Self::not_found(error.to_string()),
            CallbackError::Conflict(_) => Self::conflict(error.to_string()),
            CallbackError::Storage(error) => error.into(),
        }
    }
}

impl From<OperateError> for Problem {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::NotFound => Self::not_found(error.to_string()),
            OperateError::Refused { .. }
            | OperateError::Redriven(_)
            | OperateError::BeingUndone(_)
            | OperateError::NoRollback { .. }
            | OperateError::Undoing
            | OperateError::Rehearsal
            | OperateError::EventGone => Self::conflict(error.to_string()),
            OperateError::UnknownScope { .. } => Self::invalid_field("/scope", error.to_string()),
            OperateError::Scope(error) => Self::invalid_field("/scope", error.to_string()),
            OperateError::Storage(error) => error.into(),
        }
    }
}

impl From<RehearseError> for Problem {
    fn from(error: RehearseError) -> Self {
        match error {
            RehearseError::UnknownPlaybook { .. } => Self::not_found(error.to_string()),
            RehearseError::OtherRule { .. } => Self::invalid_field("/rule_id", error.to_string()),
            RehearseError::Event(EventError::Invalid(errors)) => {
                Self::invalid(errors.into_iter().map(|wrong| FieldError {
                    pointer: format!("/event{}", wrong.pointer),
                    ..wrong
                }))
            }
            RehearseError::Event(error) => error.into(),
            RehearseError::Params(_) => Self::invalid_field("/params", error.to_string()),
            RehearseError::Missing { .. } => Self::invalid_field("/event", error.to_string()),
            RehearseError::Storage(error) => error.into(),
        }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Limit => Self::invalid_field("/limit", error.to_string()),
            QueryError::Cursor => Self::invalid_field("/cursor", error.to_string()),
            QueryError::Storage(error) => error.into(),
        }
    }
}

impl From<PreviewError> for Problem {
    fn from(error: PreviewError) -> Self {
        match error {
            PreviewError::Event(error) => Self::invalid_field("/event", error.to_string()),
            PreviewError::Busy => Self::unavailable("overloaded", error.to_string(), 1),
            PreviewError::Rules(error) => Self::invalid(error.diagnostics.iter().map(|wrong| {
                let rule = wrong.rule.as_deref().map(|id| format!("rule `{id}`: "));
                FieldError::new(
                    "/rules",
                    format!(
                        "{}{} (line {}, column {} of the rules)",
                        rule.unwrap_or_default(),
                        wrong.detail,
                        wrong.place.line,
                        wrong.place.column
                    ),
                )
            })),
        }
    }
}
