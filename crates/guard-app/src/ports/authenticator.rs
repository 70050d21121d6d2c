//! Who is asking, and what they may do.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use guard_domain::TenantId;
use thiserror::Error;

use super::StorageError;

/// Something that a principal may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Post events.
    EventsWrite,
    /// Read rules and evaluate events without effect.
    RulesRead,
    /// Change rules.
    RulesWrite,
    /// Approve and deny.
    ApprovalsDecide,
    /// Read events, executions and escalations.
    ExecutionsRead,
    /// Cancel, redrive, undo, rehearse, pause.
    ExecutionsWrite,
    /// Read the audit trail.
    AuditRead,
    /// Everything.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 8] = [
        Self::EventsWrite,
        Self::RulesRead,
        Self::RulesWrite,
        Self::ApprovalsDecide,
        Self::ExecutionsRead,
        Self::ExecutionsWrite,
        Self::AuditRead,
        Self::Admin,
    ];

    /// The scope as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EventsWrite => "events:write",
            Self::RulesRead => "rules:read",
            Self::RulesWrite => "rules:write",
            Self::ApprovalsDecide => "approvals:decide",
            Self::ExecutionsRead => "executions:read",
            Self::ExecutionsWrite => "executions:write",
            Self::AuditRead => "audit:read",
            Self::Admin => "admin",
        }
    }

    /// The scope of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// Someone who has proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Whose events, rules and executions they see.
    pub tenant: TenantId,
    /// Who they are, for the audit trail.
    pub subject: String,
    /// What they may do.
    pub scopes: Vec<Scope>,
}

impl Principal {
    /// Whether they may do what the scope stands for; `admin` implies all.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes
            .iter()
            .any(|held| *held == scope || *held == Scope::Admin)
    }
}

/// Why a token was not accepted.
#[derive(Debug, Error)]
pub enum AuthError {
    /// It is not known, or not any more.
    #[error("the token is not valid")]
    Refused,
    /// It could not be checked.
    #[error("the token cannot be checked now")]
    Unavailable(#[source] StorageError),
}

/// Turns a bearer token into a principal.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// The principal that a token stands for.
    ///
    /// # Errors
    /// [`AuthError::Refused`] for a token that is not accepted.
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthError>;
}

/// A generated API key, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The public part of the key, which names it.
    pub id: String,
    /// Its tenant.
    pub tenant: TenantId,
    /// The SHA-256 of the whole key.
    pub sha256: [u8; 32],
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Stored API keys.
#[async_trait]
pub trait ApiKeys: Send + Sync {
    /// The key of this id, unless it was revoked.
    async fn find_key(&self, id: &str) -> Result<Option<ApiKey>, StorageError>;

    /// Stores a key if there is none yet, revoked ones included. Returns whether it was stored.
    async fn insert_first_key(&self, key: &ApiKey) -> Result<bool, StorageError>;
}
