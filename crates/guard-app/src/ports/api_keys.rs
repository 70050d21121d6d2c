//! API keys, as they are stored.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use guard_domain::TenantId;
use secrecy::SecretString;

use super::{Actor, Scope, StorageError};

/// What is stored of a key in place of the key.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyDigest {
    /// The SHA-256 of the whole key: enough for 256 random bits.
    Sha256([u8; 32]),
    /// The argon2id hash of the whole key as a PHC string: for secrets that people choose.
    Argon2id(String),
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256(_) => "Sha256(…)",
            Self::Argon2id(_) => "Argon2id(…)",
        })
    }
}

/// An API key, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The public part of the key, which names it in every tenant.
    pub id: String,
    /// Its tenant.
    pub tenant: TenantId,
    /// What people call it.
    pub label: String,
    /// What a token is compared with.
    pub digest: KeyDigest,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Since when it is revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A key that was just made: nobody can read it again.
#[derive(Debug)]
pub struct FreshKey {
    /// The id in it.
    pub id: String,
    /// The whole key.
    pub key: SecretString,
    /// What is to be stored of it.
    pub digest: KeyDigest,
}

/// Makes keys.
pub trait KeyMaker: Send + Sync {
    /// A key of 256 random bits.
    fn generate(&self) -> FreshKey;
}

/// When a key was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// Its tenant.
    pub tenant: TenantId,
    /// Its id.
    pub id: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Stored API keys.
#[async_trait]
pub trait ApiKeys: Send + Sync {
    /// The key of this id, whichever its tenant, unless it was revoked or has expired.
    async fn find_key(&self, id: &str) -> Result<Option<ApiKey>, StorageError>;

    /// Stores a key on record if there is none yet, revoked ones included. Returns whether it was stored.
    async fn insert_first_key(&self, key: &ApiKey, actor: &Actor) -> Result<bool, StorageError>;

    /// Stores a key on record, and its tenant with it if there is none of that name.
    async fn insert_key(&self, key: &ApiKey, actor: &Actor) -> Result<(), StorageError>;

    /// A key of a tenant, revoked and expired ones too.
    async fn read_key(&self, tenant: &TenantId, id: &str) -> Result<Option<ApiKey>, StorageError>;

    /// Keys of a tenant whose ids are above one, by id; revoked and expired ones too.
    async fn list_keys(
        &self,
        tenant: &TenantId,
        above: &str,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StorageError>;

    /// Revokes a key, on record; one that is revoked stays so since then. `None` if there is none.
    async fn revoke_key(
        &self,
        tenant: &TenantId,
        id: &str,
        actor: &Actor,
    ) -> Result<Option<ApiKey>, StorageError>;

    /// Notes when keys were used. What is known to be later stays.
    async fn note_uses(&self, uses: &[KeyUse]) -> Result<(), StorageError>;
}
