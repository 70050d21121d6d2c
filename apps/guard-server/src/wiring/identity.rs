//! Who is asking, and who looks after the keys.

use std::sync::Arc;

use guard_app::ports::{Actor, Clock, Random, Scope};
use guard_app::{KeyOrder, KeyService};
use guard_domain::TenantId;
use guard_identity::{BearerAuthenticator, Jwks, RandomKeys, StaticKey};
use guard_store::Store;
use secrecy::SecretString;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;

/// What knows who is asking.
pub(super) struct Identity {
    pub(super) authenticator: Arc<BearerAuthenticator>,
    /// The keys of an issuer, if they are at a URL.
    jwks: Option<Arc<Jwks>>,
}

impl Identity {
    pub(super) fn new(
        settings: &Settings,
        store: Arc<Store>,
        clock: &Arc<dyn Clock>,
        random: &dyn Random,
    ) -> anyhow::Result<Self> {
        let mut static_keys = Vec::new();
        if let Some(key) = &settings.api_key {
            static_keys.push(StaticKey::api(key)?);
        }
        if let Some(key) = &settings.admin_key {
            static_keys.push(StaticKey::admin(key)?);
        }
        let jwt = settings.jwt.as_ref();
        let (jwt, jwks) = match jwt.map(|jwt| jwt.verifier(clock)).transpose()? {
            Some((verifier, jwks)) => (Some(verifier), jwks),
            None => (None, None),
        };
        let authenticator =
            BearerAuthenticator::new(static_keys, store, jwt, clock.clone(), random);
        Ok(Self {
            authenticator: Arc::new(authenticator),
            jwks,
        })
    }

    /// Begins what is done beside the requests.
    pub(super) fn start(&self, tasks: &mut JoinSet<()>, stop: &CancellationToken) {
        tasks.spawn(self.authenticator.clone().write_uses(stop.clone()));
        if let Some(jwks) = &self.jwks {
            tasks.spawn(jwks.clone().follow(stop.clone()));
        }
    }
}

/// Looks after the keys.
pub(super) fn key_service(
    store: Arc<Store>,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
) -> KeyService {
    KeyService {
        keys: store,
        maker: Arc::new(RandomKeys(random.clone())),
        clock: clock.clone(),
    }
}

/// An administrator's key, if nobody could come in otherwise.
pub(super) async fn first_key(
    settings: &Settings,
    service: &KeyService,
) -> anyhow::Result<Option<SecretString>> {
    if settings.api_key.is_some() || settings.admin_key.is_some() {
        return Ok(None);
    }
    let order = KeyOrder {
        label: "first admin key".to_owned(),
        scopes: vec![Scope::Admin],
        expires_at: None,
    };
    let (fresh, now) = (service.maker.generate(), service.clock.now());
    let first = order.fill(TenantId::default_tenant(), fresh, now);
    let actor = Actor::system("start");
    let stored = service.keys.insert_first_key(&first.stored, &actor).await?;
    Ok(stored.then_some(first.key))
}
