//! What operators switch, and the guard's own keys.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use guard_domain::{PlaybookName, RuleId, TenantId};
use guard_policy::Pauses;
use thiserror::Error;

use super::{Actor, StorageError};

/// What a pause holds back: `all`, `rule:<id>` or `playbook:<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PauseScope {
    /// Every rule.
    All,
    /// One rule.
    Rule(RuleId),
    /// Every rule that triggers one playbook, and the playbook's queued executions.
    Playbook(PlaybookName),
}

/// A text that is no scope of a pause.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a scope: `all`, `rule:<id>` or `playbook:<name>`")]
pub struct PauseScopeError(String);

impl PauseScope {
    /// Reads a scope.
    ///
    /// # Errors
    /// [`PauseScopeError`] naming the valid forms.
    pub fn parse(text: &str) -> Result<Self, PauseScopeError> {
        let wrong = || PauseScopeError(text.to_owned());
        match text.split_once(':') {
            None if text == "all" => Ok(Self::All),
            Some(("rule", id)) => RuleId::parse(id).map(Self::Rule).map_err(|_| wrong()),
            Some(("playbook", name)) => PlaybookName::parse(name)
                .map(Self::Playbook)
                .map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for PauseScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Rule(id) => write!(f, "rule:{id}"),
            Self::Playbook(name) => write!(f, "playbook:{name}"),
        }
    }
}

/// Something that an operator has paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// What.
    pub scope: PauseScope,
    /// Why.
    pub reason: String,
    /// Who did it.
    pub paused_by: String,
    /// Since when.
    pub paused_at: DateTime<Utc>,
}

/// What a list of pauses holds back.
impl FromIterator<Pause> for Pauses {
    fn from_iter<I: IntoIterator<Item = Pause>>(pauses: I) -> Self {
        let mut held = Self::default();
        for pause in pauses {
            match pause.scope {
                PauseScope::All => held.all = true,
                PauseScope::Rule(id) => held.rules.extend([id]),
                PauseScope::Playbook(name) => held.playbooks.extend([name]),
            }
        }
        held
    }
}

/// The switches of a tenant.
#[async_trait]
pub trait Controls: Send + Sync {
    /// What is paused.
    async fn pauses(&self, tenant: &TenantId) -> Result<Vec<Pause>, StorageError>;

    /// Pauses a scope, on record. Pausing what is paused changes only its reason. Returns what is paused then.
    async fn pause(
        &self,
        tenant: &TenantId,
        scope: &PauseScope,
        reason: &str,
        actor: &Actor,
    ) -> Result<Vec<Pause>, StorageError>;

    /// Resumes a scope, on record. Returns what is still paused.
    async fn resume(
        &self,
        tenant: &TenantId,
        scope: &PauseScope,
        reason: &str,
        actor: &Actor,
    ) -> Result<Vec<Pause>, StorageError>;

    /// The key that signs the tenant's callback tokens, if there is one.
    async fn find_callback_key(&self, tenant: &TenantId) -> Result<Option<[u8; 32]>, StorageError>;

    /// The key that signs the tenant's callback tokens; `fresh` becomes it if there is none yet.
    async fn make_callback_key(
        &self,
        tenant: &TenantId,
        fresh: [u8; 32],
    ) -> Result<[u8; 32], StorageError>;

    /// Whether the database takes what is written.
    async fn ping(&self) -> Result<(), StorageError>;
}
