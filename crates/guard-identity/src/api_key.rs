//! Generated keys: `ng_<id>_<secret>`, whose secret has 256 random bits.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use guard_app::ports::{ApiKey, Clock, Random, Scope};
use guard_domain::TenantId;
use secrecy::SecretString;
use sha2::{Digest, Sha256};

/// A new key: what its holder is told once, and what is stored.
#[derive(Debug)]
pub struct GeneratedKey {
    /// The whole key.
    pub key: SecretString,
    /// What is stored of it.
    pub stored: ApiKey,
}

/// A new key of tenant `default` that may do everything.
#[must_use]
pub fn generate_admin_key(clock: &dyn Clock, random: &dyn Random) -> GeneratedKey {
    let id = format!("{:016x}", random.next_u128() >> 64);
    let secret = [
        random.next_u128().to_be_bytes(),
        random.next_u128().to_be_bytes(),
    ]
    .concat();
    let key = format!("ng_{id}_{}", BASE64_URL_SAFE_NO_PAD.encode(secret));
    let stored = ApiKey {
        id,
        tenant: TenantId::default_tenant(),
        sha256: Sha256::digest(&key).into(),
        scopes: Scope::ALL.to_vec(),
        created_at: clock.now(),
    };
    GeneratedKey {
        key: key.into(),
        stored,
    }
}

/// The id inside a generated key.
pub(crate) fn id_of(token: &str) -> Option<&str> {
    let (id, secret) = token.strip_prefix("ng_")?.split_once('_')?;
    (!id.is_empty() && id.len() <= 64 && !secret.is_empty()).then_some(id)
}
