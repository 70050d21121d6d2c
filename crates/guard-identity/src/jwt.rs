//! JSON Web Tokens (RFC 7519).

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{Clock, Principal, Scope};
use guard_domain::TenantId;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;

use crate::jwks::Jwks;
use crate::refusal::Refusal;

/// The shortest secret of HS256, in bytes: as long as its hash (RFC 7518, section 3.2).
pub const MIN_JWT_SECRET: usize = 32;
/// The longest subject, in bytes.
const MAX_SUBJECT: usize = 255;

/// A key that no token can be checked with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JwtKeyError {
    /// The secret is too short.
    #[error("the secret has {0} bytes, and needs at least {MIN_JWT_SECRET}")]
    ShortSecret(usize),
    /// The PEM is of no key that is known.
    #[error("this is no public key in PEM: RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA)")]
    Pem,
}

/// A key with the one algorithm that it is for: a token has no say in it.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

/// Where the key of a token comes from.
enum Source {
    Fixed(VerifyingKey),
    Jwks(Arc<Jwks>),
}

/// The keys that tokens are checked with.
pub struct JwtKeys(Source);

impl JwtKeys {
    /// A secret that the issuer knows as well (HS256).
    ///
    /// # Errors
    /// [`JwtKeyError::ShortSecret`] for one of less than 32 bytes.
    pub fn secret(secret: &SecretString) -> Result<Self, JwtKeyError> {
        let secret = secret.expose_secret().as_bytes();
        if secret.len() < MIN_JWT_SECRET {
            return Err(JwtKeyError::ShortSecret(secret.len()));
        }
        Ok(Self(Source::Fixed(VerifyingKey {
            algorithm: Algorithm::HS256,
            key: DecodingKey::from_secret(secret),
        })))
    }

    /// The issuer's public key (RS256, ES256 or EdDSA).
    ///
    /// # Errors
    /// [`JwtKeyError::Pem`] for what is no such key.
    pub fn pem(pem: &str) -> Result<Self, JwtKeyError> {
        let pem = pem.as_bytes();
        let rsa = DecodingKey::from_rsa_pem(pem).map(|key| (Algorithm::RS256, key));
        let (algorithm, key) = rsa
            .or_else(|_| DecodingKey::from_ec_pem(pem).map(|key| (Algorithm::ES256, key)))
            .or_else(|_| DecodingKey::from_ed_pem(pem).map(|key| (Algorithm::EdDSA, key)))
            .map_err(|_| JwtKeyError::Pem)?;
        Ok(Self(Source::Fixed(VerifyingKey { algorithm, key })))
    }

    /// The issuer's public keys, at a URL (RFC 7517).
    #[must_use]
    pub const fn jwks(jwks: Arc<Jwks>) -> Self {
        Self(Source::Jwks(jwks))
    }
}

/// Whose tokens are accepted.
#[derive(Debug, Clone, Default)]
pub struct JwtTerms {
    /// The issuer that a token must name, if one is set.
    pub issuer: Option<String>,
    /// The audience that a token must be for, if one is set.
    pub audience: Option<String>,
    /// How far the issuer's clock may be off.
    pub leeway: TimeDelta,
}

/// Accepts tokens of one issuer.
pub struct JwtVerifier {
    keys: JwtKeys,
    terms: JwtTerms,
    clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
struct Claims {
    exp: f64,
    nbf: Option<f64>,
    iss: Option<String>,
    aud: Option<Audience>,
    sub: String,
    tenant: Option<String>,
    #[serde(default)]
    scope: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn has(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Several(several) => several.iter().any(|one| one == wanted),
        }
    }
}

impl JwtVerifier {
    /// A verifier.
    #[must_use]
    pub fn new(keys: JwtKeys, terms: JwtTerms, clock: Arc<dyn Clock>) -> Self {
        Self { keys, terms, clock }
    }

    /// Who a token says is asking.
    pub(crate) async fn principal_of(&self, token: &str) -> Result<Principal, Refusal> {
        let header = decode_header(token).map_err(|_| Refusal::Jwt)?;
        // Extensions that must be understood are not (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return Err(Refusal::Jwt);
        }
        let key = match &self.keys.0 {
            Source::Fixed(key) => Some(key.clone()),
            Source::Jwks(jwks) => jwks.key(header.kid.as_deref()).await,
        };
        let VerifyingKey { algorithm, key } = key.ok_or(Refusal::Jwt)?;
        // The times, the issuer and the audience are looked at below, by the guard's own clock.
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let token = decode::<Claims>(token, &key, &validation).map_err(|_| Refusal::Jwt)?;
        self.principal(&token.claims)
    }

    fn principal(&self, claims: &Claims) -> Result<Principal, Refusal> {
        let (now, leeway) = (
            seconds(self.clock.now()),
            self.terms.leeway.as_seconds_f64(),
        );
        if now >= claims.exp + leeway || claims.nbf.is_some_and(|begin| now + leeway < begin) {
            return Err(Refusal::JwtTime);
        }
        let issued = self
            .terms
            .issuer
            .as_ref()
            .is_none_or(|issuer| claims.iss.as_ref() == Some(issuer));
        let meant = self.terms.audience.as_ref().is_none_or(|audience| {
            claims
                .aud
                .as_ref()
                .is_some_and(|claimed| claimed.has(audience))
        });
        let subject = &claims.sub;
        let named =
            (1..=MAX_SUBJECT).contains(&subject.len()) && !subject.chars().any(char::is_control);
        if !(issued && meant && named) {
            return Err(Refusal::JwtClaims);
        }
        let tenant = match &claims.tenant {
            None => TenantId::default_tenant(),
            Some(tenant) => TenantId::parse(tenant).map_err(|_| Refusal::JwtClaims)?,
        };
        Ok(Principal {
            tenant,
            subject: format!("jwt:{subject}"),
            // Issuers have scopes of their own, such as `openid`: what is not known here allows nothing.
            scopes: claims.scope.split(' ').filter_map(Scope::parse).collect(),
        })
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds until the year 2255 fit"
)]
fn seconds(moment: DateTime<Utc>) -> f64 {
    moment.timestamp_micros() as f64 / 1e6
}

/// Whether a token has the form of a JWT.
pub(crate) fn is_jwt(token: &str) -> bool {
    token.split('.').count() == 3
}

#[cfg(test)]
mod tests;
