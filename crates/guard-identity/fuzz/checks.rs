//! What must hold of any token. The fuzz target and a test over its corpus use it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is what is looked for"
)]

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use guard_app::TenantBook;
use guard_app::ports::{
    Actor, AllTenants, ApiKey, ApiKeys, Authenticator, Clock, KeyDigest, KeyUse, Principal, Random,
    Scope, StorageError, Tenant, TenantLimits, TenantSource,
};
use guard_domain::{TenantId, members};
use guard_identity::{BearerAuthenticator, JwtKeys, JwtTerms, JwtVerifier, StaticKey};
use serde_json::Value;
use tokio::runtime::Runtime;

/// Keys that open nothing but this.
const JWT_SECRET: &str = "a-secret-of-the-fuzz-target-only";
const API_KEY: &str = "sentinel-key-of-the-fuzz-target";
const STORED_KEY: &str = "ng_00112233aabbccdd_c2VjcmV0LW9mLXRoZS1mdXp6LXRhcmdldC1vbmx5";
/// By the secret above, of subject `alice` and tenant `acme`, until the year 2100.
const JWT: &str = include_str!("jwt");
/// Those that have been created.
const TENANTS: [&str; 3] = ["default", "stored", "acme"];
/// How far the issuer's clock may be off.
const LEEWAY: i64 = 30;

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_140_000, 0).expect("a moment")
    }
}

impl Random for Fixed {
    fn next_u128(&self) -> u128 {
        7
    }
}

/// One stored key.
#[async_trait]
impl ApiKeys for Fixed {
    async fn find_key(&self, id: &str) -> Result<Option<ApiKey>, StorageError> {
        // What reaches a database is bounded, and no NUL is in it.
        assert!(
            (1..=64).contains(&id.len()) && !id.contains(['_', '\0']),
            "{id:?}"
        );
        let sha256 = digest::digest(&digest::SHA256, STORED_KEY.as_bytes());
        Ok((id == "00112233aabbccdd").then(|| ApiKey {
            id: id.to_owned(),
            tenant: TenantId::parse("stored").expect("a slug"),
            label: String::new(),
            digest: KeyDigest::Sha256(sha256.as_ref().try_into().expect("32 bytes")),
            scopes: vec![Scope::AuditRead],
            created_at: self.now(),
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        }))
    }

    async fn note_uses(&self, _: &[KeyUse]) -> Result<(), StorageError> {
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

/// The tenants of the tokens that are right, and no other.
#[async_trait]
impl TenantSource for Fixed {
    async fn tenants_since(&self, _: u64) -> Result<Option<AllTenants>, StorageError> {
        let tenant = |name| Tenant {
            id: TenantId::parse(name).expect("a slug"),
            label: None,
            limits: TenantLimits::default(),
            created_at: self.now(),
            disabled: None,
        };
        Ok(Some(AllTenants {
            version: 1,
            tenants: TENANTS.map(tenant).into(),
        }))
    }
}

struct Door {
    runtime: Runtime,
    authenticator: BearerAuthenticator,
}

impl Door {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let clock = Arc::new(Fixed);
        let keys = JwtKeys::secret(&JWT_SECRET.to_owned().into()).expect("a key");
        let terms = JwtTerms {
            leeway: TimeDelta::seconds(LEEWAY),
            ..JwtTerms::default()
        };
        let jwt = JwtVerifier::new(keys, terms, clock.clone());
        let api = StaticKey::api(&API_KEY.to_owned().into()).expect("a key");
        let tenants = Arc::new(TenantBook::new(clock.clone()));
        runtime.block_on(tenants.refresh()).expect("tenants");
        let authenticator =
            BearerAuthenticator::new(vec![api], clock.clone(), Some(jwt), tenants, clock, &Fixed);
        Self {
            runtime,
            authenticator,
        }
    }

    fn ask(&self, token: &str) -> Option<Principal> {
        let asked = self.authenticator.authenticate(token, None);
        self.runtime.block_on(asked).ok()
    }
}

/// Presents a token. If the first byte is `{`, what follows is a header and claims, which are signed: so the claims are
/// read too, which nobody reaches who cannot sign.
pub(crate) fn token(data: &[u8]) {
    thread_local! {
        static DOOR: Door = Door::new();
    }
    DOOR.with(|door| match data.first() {
        Some(b'{') => signed(door, data),
        _ => {
            if let Ok(text) = std::str::from_utf8(data) {
                unsigned(door, text);
            }
        }
    });
}

fn unsigned(door: &Door, token: &str) {
    let Some(principal) = door.ask(token) else {
        assert!(
            ![API_KEY, STORED_KEY, JWT.trim()].contains(&token),
            "a right one is refused"
        );
        return;
    };
    let expected = match token {
        API_KEY => ("default", "key:api"),
        STORED_KEY => ("stored", "key:00112233aabbccdd"),
        _ if token == JWT.trim() => ("acme", "jwt:alice"),
        _ => panic!("`{token}` let in {principal:?}"),
    };
    assert_eq!(
        (principal.tenant.as_str(), principal.subject.as_str()),
        expected
    );
}

fn signed(door: &Door, data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (header, claims) = (&data[..end], &data[end + 1..]);
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encode(header), encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, JWT_SECRET.as_bytes());
    let signature = hmac::sign(&key, message.as_bytes());
    let token = format!("{message}.{}", encode(signature.as_ref()));
    let Some(principal) = door.ask(&token) else {
        return;
    };
    let (header, claims) = (read(header), read(claims));
    assert_eq!(header("alg"), "HS256");
    assert!(header("crit").is_null());
    let now = Fixed.now().timestamp() as f64;
    assert!(claims("exp").as_f64().expect("an end") + LEEWAY as f64 > now);
    assert!(
        claims("nbf")
            .as_f64()
            .is_none_or(|begin| begin <= now + LEEWAY as f64)
    );
    let subject = claims("sub");
    let subject = subject.as_str().expect("a subject");
    assert!((1..=255).contains(&subject.len()) && !subject.contains(char::is_control));
    assert_eq!(principal.subject, format!("jwt:{subject}"));
    let tenant = claims("tenant");
    let tenant = tenant.as_str().unwrap_or("default");
    assert_eq!(principal.tenant.as_str(), tenant);
    assert!(TENANTS.contains(&tenant));
    let said = claims("scope");
    let said = said.as_str().unwrap_or_default();
    for scope in &principal.scopes {
        assert!(
            said.split(' ').any(|word| word == scope.as_str()),
            "{scope:?}"
        );
    }
}

/// The fields of a text that was accepted. Nobody reads the others, so that what is wrong in their values was not seen.
fn read(text: &[u8]) -> impl Fn(&str) -> Value {
    let text = String::from_utf8_lossy(text).into_owned();
    move |name| {
        let fields = members(&text).expect("it was accepted").0;
        let found = fields.iter().find(|(key, _)| key == name);
        found.map_or(Value::Null, |(_, value)| {
            serde_json::from_str(value.get()).expect("a value")
        })
    }
}
