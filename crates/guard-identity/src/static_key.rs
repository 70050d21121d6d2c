//! Keys from the environment.

use guard_app::ports::{Principal, Scope};
use guard_app::sha256;
use guard_domain::TenantId;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The shortest key that is accepted, in characters.
pub const MIN_KEY_LENGTH: usize = 16;

/// A key that is too short.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name} has {length} characters, and needs at least {MIN_KEY_LENGTH}")]
pub struct StaticKeyError {
    /// What the key is called.
    pub name: &'static str,
    /// How long it is.
    pub length: usize,
}

/// A key that lives in memory only; what is kept is its SHA-256.
#[derive(Debug, Clone)]
pub struct StaticKey {
    sha256: [u8; 32],
    principal: Principal,
}

impl StaticKey {
    fn new(
        name: &'static str,
        subject: &str,
        key: &SecretString,
        scopes: Vec<Scope>,
    ) -> Result<Self, StaticKeyError> {
        let length = key.expose_secret().chars().count();
        if length < MIN_KEY_LENGTH {
            return Err(StaticKeyError { name, length });
        }
        let (tenant, subject) = (TenantId::default_tenant(), subject.to_owned());
        let sha256 = sha256(key.expose_secret());
        Ok(Self {
            sha256,
            principal: Principal {
                tenant,
                subject,
                scopes,
            },
        })
    }

    /// The key that Sentinel holds: it may post events of tenant `default`.
    ///
    /// # Errors
    /// [`StaticKeyError`] for a key of fewer than 16 characters.
    pub fn api(key: &SecretString) -> Result<Self, StaticKeyError> {
        Self::new(
            "NEURAL_GUARD_API_KEY",
            "key:api",
            key,
            vec![Scope::EventsWrite],
        )
    }

    /// The key of an administrator of tenant `default`: it may do everything.
    ///
    /// # Errors
    /// [`StaticKeyError`] for a key of fewer than 16 characters.
    pub fn admin(key: &SecretString) -> Result<Self, StaticKeyError> {
        Self::new(
            "NEURAL_GUARD_ADMIN_KEY",
            "key:admin",
            key,
            Scope::ALL.to_vec(),
        )
    }

    /// The principal, if this is the key; the comparison takes the same time whatever differs.
    pub(crate) fn principal_of(&self, sha256: &[u8; 32]) -> Option<&Principal> {
        bool::from(self.sha256.ct_eq(sha256)).then_some(&self.principal)
    }
}
