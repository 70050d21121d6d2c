//! Keys in the database.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{ApiKey, ApiKeys, Clock, KeyDigest, Principal, Random, StorageError};
use guard_app::sha256;
use subtle::ConstantTimeEq;

use crate::api_key::id_of;
use crate::failures::Failures;
use crate::hashing::Hashing;
use crate::refusal::Refusal;
use crate::uses::KeyUses;

/// How long a key that was found stays found: revocation is seen after this at the latest.
const CACHE_TIME: TimeDelta = TimeDelta::seconds(4);
/// How many keys are remembered at most.
const CACHE_SIZE: usize = 1024;
/// When to come back if every turn to hash is taken.
const BUSY: Duration = Duration::from_secs(1);

/// A token as it is remembered: under a key that no other process has, so that what leaks of the memory opens nothing.
type Mark = [u8; 32];

struct Found {
    key: ApiKey,
    since: DateTime<Utc>,
}

/// Finds keys in the database, and remembers them for a moment.
pub(crate) struct StoredKeys {
    stored: Arc<dyn ApiKeys>,
    clock: Arc<dyn Clock>,
    secret: hmac::Key,
    /// Keys that were found lately.
    found: Mutex<HashMap<Mark, Found>>,
    /// Tokens that were compared with a hash, and the hash that was theirs.
    proven: Mutex<HashMap<Mark, String>>,
    pub(crate) hashing: Hashing,
    guesses: Failures<(Option<IpAddr>, String)>,
    uses: KeyUses,
}

impl StoredKeys {
    pub(crate) fn new(
        stored: Arc<dyn ApiKeys>,
        clock: Arc<dyn Clock>,
        random: &dyn Random,
    ) -> Self {
        let mut secret = [0; 32];
        for half in secret.chunks_exact_mut(16) {
            half.copy_from_slice(&random.next_u128().to_be_bytes());
        }
        Self {
            stored,
            clock,
            secret: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            found: Mutex::default(),
            proven: Mutex::default(),
            hashing: Hashing::default(),
            guesses: Failures::default(),
            uses: KeyUses::default(),
        }
    }

    /// Whose key a token is.
    pub(crate) async fn principal_of(
        &self,
        token: &str,
        peer: Option<IpAddr>,
    ) -> Result<Principal, Refusal> {
        let id = id_of(token).ok_or(Refusal::Unknown)?;
        let (mark, now) = (self.mark(token), self.clock.now());
        if let Some(principal) = self.remembered(&mark, now) {
            return Ok(principal);
        }
        let found = self.stored.find_key(id).await;
        let key = found
            .map_err(Refusal::Unavailable)?
            .ok_or(Refusal::UnknownKey)?;
        match &key.digest {
            KeyDigest::Sha256(kept) => {
                if !bool::from(kept.ct_eq(&sha256(token))) {
                    return Err(Refusal::WrongSecret);
                }
            }
            KeyDigest::Argon2id(hash) => self.compare(token, mark, hash, (peer, id)).await?,
        }
        self.uses.note(&key, now);
        let principal = principal(&key);
        remember(&self.found, mark, Found { key, since: now });
        Ok(principal)
    }

    /// Compares a token with a slow hash, unless that has succeeded before. Who has guessed wrongly too often at a key is refused
    /// before anything is worked out.
    async fn compare(
        &self,
        token: &str,
        mark: Mark,
        hash: &str,
        (peer, id): (Option<IpAddr>, &str),
    ) -> Result<(), Refusal> {
        if self.is_proven(&mark, hash) {
            return Ok(());
        }
        let turn = self.hashing.turn().await;
        let turn = turn.ok_or(Refusal::TooMany(BUSY))?;
        // It was compared while this waited.
        if self.is_proven(&mark, hash) {
            return Ok(());
        }
        // A failure until it has succeeded, so that many at once are no way around it.
        let who = (peer, id.to_owned());
        if let Some(wait) = self.guesses.count(who.clone(), self.clock.now()) {
            return Err(Refusal::TooMany(wait));
        }
        if !turn.compare(hash, token).await {
            return Err(Refusal::WrongSecret);
        }
        self.guesses.forgive(&Some(who));
        remember(&self.proven, mark, hash.to_owned());
        Ok(())
    }

    fn is_proven(&self, mark: &Mark, hash: &str) -> bool {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.get(mark).is_some_and(|known| known == hash)
    }

    fn remembered(&self, mark: &Mark, now: DateTime<Utc>) -> Option<Principal> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let Found { key, since } = found.get(mark)?;
        let fresh = now - *since < CACHE_TIME;
        let lasting = key.expires_at.is_none_or(|expires_at| now < expires_at);
        if !(fresh && lasting) {
            return None;
        }
        self.uses.note(key, now);
        Some(principal(key))
    }

    fn mark(&self, token: &str) -> Mark {
        let mut mark = Mark::default();
        mark.copy_from_slice(hmac::sign(&self.secret, token.as_bytes()).as_ref());
        mark
    }

    /// Writes when keys were last used, where that was not written for a minute.
    pub(crate) async fn write_uses(&self) -> Result<(), StorageError> {
        self.uses
            .write(self.stored.as_ref(), self.clock.now())
            .await
    }
}

fn principal(key: &ApiKey) -> Principal {
    Principal {
        tenant: key.tenant.clone(),
        subject: format!("key:{}", key.id),
        scopes: key.scopes.clone(),
    }
}

fn remember<T>(table: &Mutex<HashMap<Mark, T>>, mark: Mark, value: T) {
    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
    if table.len() >= CACHE_SIZE {
        table.clear();
    }
    table.insert(mark, value);
}
