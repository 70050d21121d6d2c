//! The authentication port.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guard_app::ports::{ApiKeys, AuthError, Authenticator, Clock, Principal, Random};
use guard_app::sha256;
use guard_app::{TenantBook, TenantStanding, metric};
use metrics::counter;
use tokio_util::sync::CancellationToken;

use crate::api_key::KEY_PREFIX;
use crate::failures::{Failures, neighbourhood};
use crate::jwt::{JwtVerifier, is_jwt};
use crate::refusal::Refusal;
use crate::static_key::StaticKey;
use crate::stored_keys::StoredKeys;

/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 8 * 1024;
/// How often to look whether there are uses of keys to write.
const WRITE_USES: Duration = Duration::from_secs(5);

/// Accepts keys from the environment, keys in the database, and JWTs.
pub struct BearerAuthenticator {
    static_keys: Vec<StaticKey>,
    stored: StoredKeys,
    jwt: Option<JwtVerifier>,
    tenants: Arc<TenantBook>,
    clock: Arc<dyn Clock>,
    failed: Failures<Option<IpAddr>>,
}

impl BearerAuthenticator {
    /// An authenticator.
    #[must_use]
    pub fn new(
        static_keys: Vec<StaticKey>,
        stored: Arc<dyn ApiKeys>,
        jwt: Option<JwtVerifier>,
        tenants: Arc<TenantBook>,
        clock: Arc<dyn Clock>,
        random: &dyn Random,
    ) -> Self {
        Self {
            static_keys,
            stored: StoredKeys::new(stored, clock.clone(), random),
            jwt,
            tenants,
            clock,
            failed: Failures::default(),
        }
    }

    /// Writes now and then when keys were last used, until it is stopped.
    pub async fn write_uses(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let stopping = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(WRITE_USES) => false,
            };
            if let Err(error) = self.stored.write_uses().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the last uses of keys cannot be written"
                );
            }
            if stopping {
                return;
            }
        }
    }

    async fn check(&self, token: &str, peer: Option<IpAddr>) -> Result<Proven, Refusal> {
        if token.len() > MAX_TOKEN {
            return Err(Refusal::Unknown);
        }
        let sha256 = sha256(token);
        let known = |key: &StaticKey| key.principal_of(&sha256).cloned();
        if let Some(principal) = self.static_keys.iter().find_map(known) {
            return Ok(Proven::Key(principal));
        }
        match &self.jwt {
            Some(jwt) if is_jwt(token) && !token.starts_with(KEY_PREFIX) => {
                jwt.principal_of(token).await.map(Proven::Jwt)
            }
            _ => self.stored.principal_of(token, peer).await.map(Proven::Key),
        }
    }

    /// Lets in who has proved who they are, unless their tenant speaks against it. It is no guess, and not counted as one.
    fn admit(&self, proven: Proven) -> Result<Principal, AuthError> {
        let (principal, is_key) = match proven {
            Proven::Key(principal) => (principal, true),
            Proven::Jwt(principal) => (principal, false),
        };
        let (reason, error) = match self.tenants.standing(&principal.tenant) {
            TenantStanding::Active => return Ok(principal),
            // Its tenant came into being with it, elsewhere and just now.
            TenantStanding::Unknown if is_key => return Ok(principal),
            TenantStanding::Unknown => {
                let error = AuthError::UnknownTenant(principal.tenant);
                ("unknown_tenant", error)
            }
            TenantStanding::Disabled => {
                let error = AuthError::TenantDisabled(principal.tenant);
                ("tenant_disabled", error)
            }
        };
        counter!(metric::LOGINS_REFUSED, "reason" => reason).increment(1);
        Err(error)
    }
}

/// Who has proved who they are.
enum Proven {
    /// By a key, which belongs to a tenant that there is.
    Key(Principal),
    /// By a token of an issuer, who may name any tenant.
    Jwt(Principal),
}

#[async_trait]
impl Authenticator for BearerAuthenticator {
    async fn authenticate(
        &self,
        token: &str,
        peer: Option<IpAddr>,
    ) -> Result<Principal, AuthError> {
        let peer = neighbourhood(peer);
        let refusal = match self.check(token, peer).await {
            Ok(proven) => return self.admit(proven),
            Err(Refusal::Unavailable(error)) => return Err(AuthError::Unavailable(error)),
            Err(refusal) => refusal,
        };
        // Only what fails is counted and limited: a right token passes, whatever others from its address did.
        let wait = match refusal {
            Refusal::TooMany(wait) => Some(wait),
            _ => self.failed.count(peer, self.clock.now()),
        };
        let reason = wait.map_or(refusal.reason(), |_| "too_many");
        counter!(metric::LOGINS_REFUSED, "reason" => reason).increment(1);
        Err(wait.map_or(AuthError::Refused, AuthError::TooMany))
    }
}

#[cfg(test)]
mod tests;
