use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;
use guard_app::ports::{
    Actor, AllTenants, ApiKey, FreshKey, KeyMaker, KeyUse, Scope, StorageError, TenantSource,
};
use guard_domain::TenantId;
use guard_testkit::{FakeClock, SeededRandom};
use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::RandomKeys;

/// One key at most, and how often it was asked for.
#[derive(Default)]
struct Keys {
    key: Mutex<Option<ApiKey>>,
    asked: AtomicUsize,
    written: Mutex<Vec<KeyUse>>,
}

#[async_trait]
impl ApiKeys for Keys {
    async fn find_key(&self, id: &str) -> Result<Option<ApiKey>, StorageError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(self.key.lock().unwrap().clone().filter(|key| key.id == id))
    }

    async fn note_uses(&self, uses: &[KeyUse]) -> Result<(), StorageError> {
        self.written.lock().unwrap().extend_from_slice(uses);
        Ok(())
    }

    async fn insert_first_key(&self, _: &ApiKey, _: &Actor) -> Result<bool, StorageError> {
        unreachable!()
    }

    async fn insert_key(&self, _: &ApiKey, _: &Actor) -> Result<(), StorageError> {
        unreachable!()
    }

    async fn read_key(&self, _: &TenantId, _: &str) -> Result<Option<ApiKey>, StorageError> {
        unreachable!()
    }

    async fn list_keys(&self, _: &TenantId, _: &str, _: u32) -> Result<Vec<ApiKey>, StorageError> {
        unreachable!()
    }

    async fn revoke_key(
        &self,
        _: &TenantId,
        _: &str,
        _: &Actor,
    ) -> Result<Option<ApiKey>, StorageError> {
        unreachable!()
    }
}

/// Tenants that nobody asks about.
struct NoTenants;

#[async_trait]
impl TenantSource for NoTenants {
    async fn tenants_since(&self, _: u64) -> Result<Option<AllTenants>, StorageError> {
        unreachable!()
    }
}

struct World {
    keys: Arc<Keys>,
    clock: Arc<FakeClock>,
    authenticator: BearerAuthenticator,
}

impl World {
    fn new(static_keys: Vec<StaticKey>) -> Self {
        let (keys, clock) = (Arc::new(Keys::default()), Arc::new(FakeClock::new()));
        let random = SeededRandom::default();
        // Nothing has been read into it: the tenants of keys are not looked for.
        let book = Arc::new(TenantBook::new(Arc::new(NoTenants)));
        let authenticator = BearerAuthenticator::new(
            static_keys,
            keys.clone(),
            None,
            book,
            clock.clone(),
            &random,
        );
        Self {
            keys,
            clock,
            authenticator,
        }
    }

    /// Stores a key; gives the token.
    fn store(&self, fresh: FreshKey) -> String {
        *self.keys.key.lock().unwrap() = Some(ApiKey {
            id: fresh.id,
            tenant: TenantId::default_tenant(),
            label: String::new(),
            digest: fresh.digest,
            scopes: vec![Scope::Admin],
            created_at: self.clock.now(),
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        });
        fresh.key.expose_secret().to_owned()
    }

    async fn ask(&self, token: &str) -> Result<Principal, AuthError> {
        let peer = Some("203.0.113.7".parse().unwrap());
        self.authenticator.authenticate(token, peer).await
    }

    fn asked(&self) -> usize {
        self.keys.asked.load(Ordering::Relaxed)
    }
}

fn maker() -> RandomKeys {
    RandomKeys(Arc::new(SeededRandom::default()))
}

fn secret(text: &str) -> SecretString {
    text.to_owned().into()
}

#[tokio::test]
async fn environment_keys_are_accepted_with_their_scopes() {
    let api = StaticKey::api(&secret("sixteen-chars-ok")).unwrap();
    let admin = StaticKey::admin(&secret("another-sixteen-chars")).unwrap();
    let world = World::new(vec![api, admin]);
    let principal = world.ask("sixteen-chars-ok").await.unwrap();
    assert_eq!(principal.scopes, [Scope::EventsWrite]);
    assert!(!principal.may(Scope::RulesRead));
    let principal = world.ask("another-sixteen-chars").await.unwrap();
    assert!(principal.may(Scope::RulesRead));
    let long = "x".repeat(MAX_TOKEN + 1);
    for wrong in ["", "sixteen-chars-o", "sixteen-chars-ok ", &long] {
        assert!(matches!(world.ask(wrong).await, Err(AuthError::Refused)));
    }
    assert_eq!(
        world.asked(),
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
    let world = World::new(vec![]);
    let token = world.store(maker().generate());
    assert!(world.ask(&token).await.unwrap().may(Scope::Admin));
    assert!(world.ask(&token).await.is_ok());
    assert_eq!(world.asked(), 1, "remembered");
    let forged = format!("{token}x");
    assert!(matches!(world.ask(&forged).await, Err(AuthError::Refused)));
    *world.keys.key.lock().unwrap() = None;
    world.clock.advance(TimeDelta::seconds(4));
    assert!(matches!(world.ask(&token).await, Err(AuthError::Refused)));
}

#[tokio::test]
async fn a_chosen_secret_is_hashed_once_and_an_unknown_key_never() {
    let world = World::new(vec![]);
    let token = world.store(maker().of_secret(&secret("correct-horse-battery")).unwrap());
    world.ask(&token).await.unwrap();
    world.clock.advance(TimeDelta::seconds(4));
    let taken: Vec<_> = [
        world.authenticator.stored.hashing.turn().await,
        world.authenticator.stored.hashing.turn().await,
    ]
    .into_iter()
    .flatten()
    .collect();
    assert_eq!(taken.len(), 2);
    assert!(world.ask(&token).await.is_ok(), "without a turn to hash");
    assert_eq!(world.asked(), 2, "it was looked up again");
    let unknown = "ng_0123456789abcdef_correct-horse-battery";
    assert!(matches!(world.ask(unknown).await, Err(AuthError::Refused)));
    let wrong = format!("{token}x");
    let busy = world.ask(&wrong).await;
    assert!(matches!(busy, Err(AuthError::TooMany(_))), "{busy:?}");
    // Another secret under the same id: what was proven of the old one counts no more.
    let stored = world.keys.key.lock().unwrap().clone().unwrap();
    let other = maker().of_secret(&secret("another-horse-battery")).unwrap();
    *world.keys.key.lock().unwrap() = Some(ApiKey {
        digest: other.digest,
        ..stored
    });
    drop(taken);
    world.clock.advance(TimeDelta::seconds(4));
    assert!(matches!(world.ask(&token).await, Err(AuthError::Refused)));
}

#[tokio::test]
async fn a_right_secret_is_no_guess() {
    let world = World::new(vec![]);
    let secret = secret("correct-horse-battery");
    let token = world.store(maker().of_secret(&secret).unwrap());
    let wrong = format!("{token}x");
    for _ in 0..9 {
        assert!(matches!(world.ask(&wrong).await, Err(AuthError::Refused)));
    }
    world.ask(&token).await.unwrap();
    assert!(matches!(world.ask(&wrong).await, Err(AuthError::Refused)));
    assert!(matches!(
        world.ask(&wrong).await,
        Err(AuthError::TooMany(_))
    ));
}

#[tokio::test]
async fn many_first_uses_at_once_of_a_chosen_secret_all_pass() {
    let world = Arc::new(World::new(vec![]));
    let token = world.store(maker().of_secret(&secret("correct-horse-battery")).unwrap());
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let (world, token) = (world.clone(), token.clone());
            tokio::spawn(async move { world.ask(&token).await.is_ok() })
        })
        .collect();
    for asked in asking {
        assert!(asked.await.unwrap());
    }
}

#[tokio::test]
async fn the_use_of_a_key_is_written_once_a_minute() {
    let world = World::new(vec![]);
    let token = world.store(maker().generate());
    let mut written = Vec::new();
    for _ in 0..13 {
        world.ask(&token).await.unwrap();
        world.authenticator.stored.write_uses().await.unwrap();
        written.push(world.keys.written.lock().unwrap().len());
        world.clock.advance(TimeDelta::seconds(10));
    }
    assert_eq!(written, [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3]);
}
