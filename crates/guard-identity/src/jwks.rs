//! An issuer's public keys, at a URL (RFC 7517).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::Clock;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::jwt::VerifyingKey;

/// How long a fetch may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest document, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// The most keys in it.
const MAX_KEYS: usize = 100;
/// How often the keys are fetched.
const EVERY: Duration = Duration::from_secs(300);
/// How soon to try again after a fetch, whether it failed or a token names a key that it did not have.
const AGAIN: TimeDelta = TimeDelta::seconds(10);

/// Why the keys were not fetched.
#[derive(Debug, Error)]
pub enum JwksError {
    /// The URL cannot be reached, or did not answer in time.
    #[error("the keys cannot be fetched")]
    Fetch(#[from] reqwest::Error),
    /// It answered something else than 200.
    #[error("the keys cannot be fetched: the answer is {0}")]
    Status(u16),
    /// What it answered is too large.
    #[error("the keys have more than {MAX_BYTES} bytes, or are more than {MAX_KEYS}")]
    TooLarge,
    /// What it answered is no set of keys.
    #[error("what was fetched is no set of keys")]
    Malformed(#[from] serde_json::Error),
    /// None of the keys is of use.
    #[error("the set has no key for RS256, ES256 or EdDSA")]
    NoKeys,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// A key of the set, as far as it matters here. What is no signing key of a known kind is passed over.
#[derive(Deserialize)]
struct Key {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Key {
    /// The key and the algorithm that its kind determines; never one of a shared secret.
    fn verifying(&self) -> Option<VerifyingKey> {
        if self.usage.as_ref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let (algorithm, name, key) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let key = DecodingKey::from_rsa_components(self.n.as_ref()?, self.e.as_ref()?);
                (Algorithm::RS256, "RS256", key)
            }
            ("EC", Some("P-256")) => {
                let key = DecodingKey::from_ec_components(self.x.as_ref()?, self.y.as_ref()?);
                (Algorithm::ES256, "ES256", key)
            }
            ("OKP", Some("Ed25519")) => {
                let key = DecodingKey::from_ed_components(self.x.as_ref()?);
                (Algorithm::EdDSA, "EdDSA", key)
            }
            _ => return None,
        };
        let key = key.ok()?;
        let meant = self.alg.as_ref().is_none_or(|alg| alg == name);
        meant.then_some(VerifyingKey { algorithm, key })
    }
}

type Keys = HashMap<Option<String>, VerifyingKey>;

fn read(bytes: &[u8]) -> Result<Keys, JwksError> {
    let document: Document = serde_json::from_slice(bytes)?;
    if document.keys.len() > MAX_KEYS {
        return Err(JwksError::TooLarge);
    }
    let keys = document.keys.into_iter().filter_map(|key| {
        let key: Key = serde_json::from_value(key).ok()?;
        Some((key.kid.clone(), key.verifying()?))
    });
    let keys: Keys = keys.collect();
    if keys.is_empty() {
        return Err(JwksError::NoKeys);
    }
    Ok(keys)
}

/// The keys at a URL, as they were when they were last fetched.
pub struct Jwks {
    url: Url,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    keys: RwLock<Keys>,
    /// When they were last fetched, successfully or not.
    tried: Mutex<Option<DateTime<Utc>>>,
}

impl Jwks {
    /// The keys at a URL; none until they are fetched.
    ///
    /// # Errors
    /// [`JwksError::Fetch`] if the machine has no TLS to offer.
    pub fn new(url: Url, clock: Arc<dyn Clock>) -> Result<Self, JwksError> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            url,
            client,
            clock,
            keys: RwLock::default(),
            tried: Mutex::default(),
        })
    }

    /// Fetches the keys now and then, until it is stopped. While the URL is away, those that are known stay.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        loop {
            self.refetch().await;
            let known = !self
                .keys
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .is_empty();
            let pause = if known {
                EVERY
            } else {
                AGAIN.to_std().unwrap_or(EVERY)
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// The key of an id; without an id the only one there is. One that is not known may be new: the keys are fetched again, if
    /// they were not just now.
    pub(crate) async fn key(&self, id: Option<&str>) -> Option<VerifyingKey> {
        match self.known(id) {
            Some(key) => Some(key),
            None => {
                self.refetch().await;
                self.known(id)
            }
        }
    }

    fn known(&self, id: Option<&str>) -> Option<VerifyingKey> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        match id {
            Some(id) => keys.get(&Some(id.to_owned())).cloned(),
            None if keys.len() == 1 => keys.values().next().cloned(),
            None => None,
        }
    }

    async fn refetch(&self) {
        let mut tried = self.tried.lock().await;
        let now = self.clock.now();
        if tried.is_some_and(|tried| now - tried < AGAIN) {
            return;
        }
        *tried = Some(now);
        match self.fetch().await {
            Ok(keys) => *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys,
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the keys of `auth.jwt.jwks_url` stay as they are"
            ),
        }
    }

    async fn fetch(&self) -> Result<Keys, JwksError> {
        let mut response = self.client.get(self.url.clone()).send().await?;
        let status = response.status();
        if status != reqwest::StatusCode::OK {
            return Err(JwksError::Status(status.as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if bytes.len() + chunk.len() > MAX_BYTES {
                return Err(JwksError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        read(&bytes)
    }
}
