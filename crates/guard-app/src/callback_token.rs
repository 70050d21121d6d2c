//! The tokens that workflows report with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use chrono::{DateTime, TimeDelta, Utc};
use guard_audit::{hex, parse_hash, sha256};
use guard_domain::{ExecutionId, TenantId};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::ports::{Controls, Random, StorageError};

/// How long after its execution's deadline a token is accepted.
const GRACE: TimeDelta = TimeDelta::hours(24);
const PREFIX: &str = "ngc";

/// Why a token was not accepted.
#[derive(Debug, Error)]
pub enum CallbackTokenError {
    /// It is none of ours, is for another execution, or has expired.
    #[error("the callback token is not valid for this execution")]
    Refused,
    /// It could not be checked.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Makes and checks callback tokens: `ngc_<expiry>_<tenant>_<HMAC-SHA256>`.
///
/// The signature covers the tenant, the execution and the expiry. The key is the digest of the configured secret, or one of
/// the tenant's own that is made once and kept in the database.
pub struct CallbackTokens {
    /// The SHA-256 of the configured secret.
    secret: Option<[u8; 32]>,
    controls: Arc<dyn Controls>,
    random: Arc<dyn Random>,
    keys: Mutex<HashMap<TenantId, [u8; 32]>>,
}

impl CallbackTokens {
    /// Tokens signed with `secret`, or with keys kept in the database.
    #[must_use]
    pub fn new(
        secret: Option<SecretString>,
        controls: Arc<dyn Controls>,
        random: Arc<dyn Random>,
    ) -> Self {
        let secret = secret.map(|secret| sha256(secret.expose_secret()));
        Self {
            secret,
            controls,
            random,
            keys: Mutex::default(),
        }
    }

    /// The token of an execution.
    ///
    /// # Errors
    /// [`StorageError`] if the key cannot be read.
    pub async fn issue(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        deadline: DateTime<Utc>,
    ) -> Result<SecretString, StorageError> {
        let expiry = (deadline + GRACE).timestamp();
        let key = self.key(tenant).await?;
        let signature = hmac::sign(&mac_key(&key), &signed(tenant, id, expiry));
        let signature = hex(signature.as_ref());
        Ok(format!("{PREFIX}_{expiry}_{tenant}_{signature}").into())
    }

    /// The tenant of an execution whose token this is.
    ///
    /// # Errors
    /// [`CallbackTokenError::Refused`] for a foreign or expired token.
    pub async fn verify(
        &self,
        token: &str,
        id: ExecutionId,
        now: DateTime<Utc>,
    ) -> Result<TenantId, CallbackTokenError> {
        let mut parts = token.splitn(4, '_');
        let mut next = || parts.next().ok_or(CallbackTokenError::Refused);
        let (prefix, expiry, tenant, signature) = (next()?, next()?, next()?, next()?);
        let expiry: i64 = expiry.parse().map_err(|_| CallbackTokenError::Refused)?;
        let tenant = TenantId::parse(tenant).map_err(|_| CallbackTokenError::Refused)?;
        let signature = parse_hash(signature).ok_or(CallbackTokenError::Refused)?;
        if prefix != PREFIX || now.timestamp() >= expiry {
            return Err(CallbackTokenError::Refused);
        }
        // A token costs nothing but reading until it has proved to be ours.
        let key = self
            .known_key(&tenant)
            .await?
            .ok_or(CallbackTokenError::Refused)?;
        // The comparison takes the same time whatever differs.
        hmac::verify(&mac_key(&key), &signed(&tenant, id, expiry), &signature)
            .map_err(|_| CallbackTokenError::Refused)?;
        Ok(tenant)
    }

    fn cached(&self, tenant: &TenantId) -> Option<[u8; 32]> {
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(tenant)
            .copied()
    }

    fn remember(&self, tenant: &TenantId, key: [u8; 32]) {
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(tenant.clone(), key);
    }

    /// The key of a tenant that has one.
    async fn known_key(&self, tenant: &TenantId) -> Result<Option<[u8; 32]>, StorageError> {
        if let Some(secret) = self.secret {
            return Ok(Some(secret));
        }
        if let Some(key) = self.cached(tenant) {
            return Ok(Some(key));
        }
        let found = self.controls.find_callback_key(tenant).await?;
        if let Some(key) = found {
            self.remember(tenant, key);
        }
        Ok(found)
    }

    /// The key of a tenant; it is made if there is none.
    async fn key(&self, tenant: &TenantId) -> Result<[u8; 32], StorageError> {
        if let Some(key) = self.known_key(tenant).await? {
            return Ok(key);
        }
        let mut fresh = [0; 32];
        for chunk in fresh.chunks_exact_mut(16) {
            chunk.copy_from_slice(&self.random.next_u128().to_be_bytes());
        }
        let key = self.controls.make_callback_key(tenant, fresh).await?;
        self.remember(tenant, key);
        Ok(key)
    }
}

fn mac_key(key: &[u8; 32]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

/// What a token's signature covers.
fn signed(tenant: &TenantId, id: ExecutionId, expiry: i64) -> Vec<u8> {
    format!("neural-guard callback\n{tenant}\n{id}\n{expiry}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens that an older build issued are accepted.
    #[test]
    fn tokens_are_signed_as_ever() {
        let id = ExecutionId::from_uuid(uuid::Uuid::nil());
        let signed = signed(&TenantId::default_tenant(), id, 1_900_000_000);
        let signature = hmac::sign(&mac_key(&sha256("a secret")), &signed);
        assert_eq!(
            hex(signature.as_ref()),
            "f79a7a8e63226887bf6a43d66f155dd6890f1ec241c703e44cd70b0662c46c8a"
        );
    }
}
