//! API keys.

use guard_app::IssuedKey;
use guard_app::ports::{ApiKey, KeyDigest, Scope};
use guard_domain::timestamp;
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyBody {
    /// Its id: the part between the first two `_` of the key.
    #[schema(example = "9f86d081884c7d65")]
    id: String,
    /// Its tenant.
    #[schema(example = "default")]
    tenant: String,
    /// What it is called.
    label: String,
    /// What it may do.
    scopes: Vec<&'static str>,
    /// `generated`, or `chosen` if its secret is somebody's own.
    #[schema(example = "generated")]
    secret: &'static str,
    /// When it was made.
    created_at: String,
    /// From when on it is refused.
    expires_at: Option<String>,
    /// When it was last used, to about a minute.
    last_used_at: Option<String>,
    /// Since when it is revoked.
    revoked_at: Option<String>,
}

impl From<ApiKey> for KeyBody {
    fn from(key: ApiKey) -> Self {
        let secret = match key.digest {
            KeyDigest::Sha256(_) => "generated",
            KeyDigest::Argon2id(_) => "chosen",
        };
        Self {
            id: key.id,
            tenant: key.tenant.to_string(),
            label: key.label,
            scopes: key.scopes.into_iter().map(Scope::as_str).collect(),
            secret,
            created_at: timestamp::format(key.created_at),
            expires_at: key.expires_at.map(timestamp::format),
            last_used_at: key.last_used_at.map(timestamp::format),
            revoked_at: key.revoked_at.map(timestamp::format),
        }
    }
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct IssuedKeyBody {
    /// The key itself, shown this once: what goes after `Authorization: Bearer`.
    #[schema(example = "ng_9f86d081884c7d65_…")]
    key: String,
    #[serde(flatten)]
    about: KeyBody,
}

impl From<IssuedKey> for IssuedKeyBody {
    fn from(issued: IssuedKey) -> Self {
        Self {
            key: issued.key.expose_secret().to_owned(),
            about: issued.stored.into(),
        }
    }
}
