//! Who is asking, and what they may do.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use guard_domain::TenantId;
use thiserror::Error;

use super::{Actor, StorageError};

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

    /// Who does something, for the audit trail.
    pub(crate) fn actor(&self, request_id: &str) -> Actor {
        Actor {
            subject: self.subject.clone(),
            request_id: Some(request_id.to_owned()),
        }
    }
}

/// Why a token was not accepted.
#[derive(Debug, Error)]
pub enum AuthError {
    /// It is right, and its tenant is disabled.
    #[error("tenant `{0}` is disabled")]
    TenantDisabled(TenantId),
    /// It is right, and names a tenant that nobody has created.
    #[error("there is no tenant `{0}`")]
    UnknownTenant(TenantId),
    /// It is not known, or not any more.
    #[error("the token is not valid")]
    Refused,
    /// It is not accepted, and too many from the same address were not: come back after this.
    #[error("too many tokens from this address were not valid")]
    TooMany(Duration),
    /// It could not be checked.
    #[error("the token cannot be checked now")]
    Unavailable(#[source] StorageError),
}

/// Turns a bearer token into a principal.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// The principal that a token stands for, which came from `peer`.
    ///
    /// # Errors
    /// [`AuthError::Refused`] for a token that is not accepted, [`AuthError::TooMany`] for one of too many, and what speaks
    /// against the tenant of a right one.
    async fn authenticate(&self, token: &str, peer: Option<IpAddr>)
    -> Result<Principal, AuthError>;
}
