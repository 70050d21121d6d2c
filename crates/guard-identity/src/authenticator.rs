//! The authentication port.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{ApiKeys, AuthError, Authenticator, Clock, Principal};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::api_key::id_of;
use crate::static_key::StaticKey;

/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 8 * 1024;
/// How long a key that was found stays found: revocation is seen after this at the latest.
const CACHE_TIME: TimeDelta = TimeDelta::seconds(5);
/// How many keys are remembered at most.
const CACHE_SIZE: usize = 1024;

type Cache = HashMap<[u8; 32], (DateTime<Utc>, Principal)>;

/// Accepts keys from the environment and keys in the database.
pub struct KeyAuthenticator {
    static_keys: Vec<StaticKey>,
    stored: Arc<dyn ApiKeys>,
    clock: Arc<dyn Clock>,
    cache: Mutex<Cache>,
}

impl KeyAuthenticator {
    /// An authenticator.
    #[must_use]
    pub fn new(
        static_keys: Vec<StaticKey>,
        stored: Arc<dyn ApiKeys>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            static_keys,
            stored,
            clock,
            cache: Mutex::default(),
        }
    }

    fn cached(&self, sha256: &[u8; 32], now: DateTime<Utc>) -> Option<Principal> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, principal) = cache.get(sha256)?;
        (now - *since < CACHE_TIME).then(|| principal.clone())
    }

    fn remember(&self, sha256: [u8; 32], now: DateTime<Utc>, principal: &Principal) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHE_SIZE {
            cache.clear();
        }
        cache.insert(sha256, (now, principal.clone()));
    }
}

#[async_trait]
impl Authenticator for KeyAuthenticator {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthError> {
        if token.len() > MAX_TOKEN {
            return Err(AuthError::Refused);
        }
        let sha256: [u8; 32] = Sha256::digest(token).into();
        if let Some(principal) = self
            .static_keys
            .iter()
            .find_map(|key| key.principal_of(&sha256))
        {
            return Ok(principal.clone());
        }
        let now = self.clock.now();
        if let Some(principal) = self.cached(&sha256, now) {
            return Ok(principal);
        }
        let id = id_of(token).ok_or(AuthError::Refused)?;
        let stored = self
            .stored
            .find_key(id)
            .await
            .map_err(AuthError::Unavailable)?;
        let key = stored
            .filter(|key| bool::from(key.sha256.ct_eq(&sha256)))
            .ok_or(AuthError::Refused)?;
        let principal = Principal {
            tenant: key.tenant,
            subject: format!("key:{}", key.id),
            scopes: key.scopes,
        };
        self.remember(sha256, now, &principal);
        Ok(principal)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use guard_app::ports::{ApiKey, Random, Scope, StorageError};
    use secrecy::{ExposeSecret, SecretString};

    use super::*;
    use crate::api_key::generate_admin_key;

    #[derive(Default)]
    struct Keys {
        key: Mutex<Option<ApiKey>>,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl ApiKeys for Keys {
        async fn find_key(&self, id: &str) -> Result<Option<ApiKey>, StorageError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Ok(self.key.lock().unwrap().clone().filter(|key| key.id == id))
        }

        async fn insert_first_key(&self, _: &ApiKey) -> Result<bool, StorageError> {
            unreachable!()
        }
    }

    struct Fixed(Mutex<DateTime<Utc>>);
    impl Clock for Fixed {
        fn now(&self) -> DateTime<Utc> {
            *self.0.lock().unwrap()
        }
    }
    impl Random for Fixed {
        fn next_u128(&self) -> u128 {
            0x0123_4567_89ab_cdef_0123_4567_89ab_cdef
        }
    }

    fn secret(text: &str) -> SecretString {
        text.to_owned().into()
    }

    #[tokio::test]
    async fn environment_keys_are_accepted_with_their_scopes() {
        let api = StaticKey::api(&secret("sixteen-chars-ok")).unwrap();
        let admin = StaticKey::admin(&secret("another-sixteen-chars")).unwrap();
        let clock = Arc::new(Fixed(Mutex::new(DateTime::UNIX_EPOCH)));
        let keys = Arc::new(Keys::default());
        let authenticator = KeyAuthenticator::new(vec![api, admin], keys.clone(), clock);
        let principal = authenticator
            .authenticate("sixteen-chars-ok")
            .await
            .unwrap();
        assert_eq!(principal.scopes, [Scope::EventsWrite]);
        assert!(!principal.may(Scope::RulesRead));
        assert!(
            authenticator
                .authenticate("another-sixteen-chars")
                .await
                .unwrap()
                .may(Scope::RulesRead)
        );
        for wrong in [
            "",
            "sixteen-chars-o",
            "sixteen-chars-ok ",
            &"x".repeat(10_000),
        ] {
            assert!(matches!(
                authenticator.authenticate(wrong).await,
                Err(AuthError::Refused)
            ));
        }
        assert_eq!(
            keys.asked.load(Ordering::Relaxed),
            0,
            "the database is not asked for every wrong word"
        );
    }

    #[test]
    fn short_keys_are_refused() {
        let error = StaticKey::api(&secret("short")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "NEURAL_GUARD_API_KEY has 5 characters, and needs at least 16"
        );
    }

    #[tokio::test]
    async fn a_generated_key_is_accepted_until_it_is_revoked() {
        let clock = Arc::new(Fixed(Mutex::new(DateTime::UNIX_EPOCH)));
        let generated = generate_admin_key(clock.as_ref(), clock.as_ref());
        let token = generated.key.expose_secret().to_owned();
        assert!(token.starts_with("ng_0123456789abcdef_"), "{token}");
        let keys = Arc::new(Keys {
            key: Mutex::new(Some(generated.stored)),
            ..Keys::default()
        });
        let authenticator = KeyAuthenticator::new(vec![], keys.clone(), clock.clone());
        assert!(
            authenticator
                .authenticate(&token)
                .await
                .unwrap()
                .may(Scope::Admin)
        );
        assert!(authenticator.authenticate(&token).await.is_ok());
        assert_eq!(keys.asked.load(Ordering::Relaxed), 1, "remembered");
        let forged = format!("{}x", token);
        assert!(matches!(
            authenticator.authenticate(&forged).await,
            Err(AuthError::Refused)
        ));
        *keys.key.lock().unwrap() = None;
        *clock.0.lock().unwrap() += TimeDelta::seconds(5);
        assert!(matches!(
            authenticator.authenticate(&token).await,
            Err(AuthError::Refused)
        ));
    }
}
