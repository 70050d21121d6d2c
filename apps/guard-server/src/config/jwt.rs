//! Whose JSON Web Tokens are accepted.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chrono::TimeDelta;
use guard_app::ports::Clock;
use guard_identity::{Jwks, JwtKeys, JwtTerms, JwtVerifier, MIN_JWT_SECRET};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::check::is_loopback;
use super::reader::Reader;

/// The longest time by which the issuer's clock may be off.
const MAX_LEEWAY: Duration = Duration::from_secs(300);
/// What names the key; one of them at most.
const KEYS: [&str; 4] = [
    "auth.jwt.secret",
    "auth.jwt.public_key",
    "auth.jwt.public_key_file",
    "auth.jwt.jwks_url",
];

/// What tokens are checked with.
#[derive(Debug, Clone)]
pub enum JwtKey {
    /// A secret that the issuer knows as well.
    Secret(SecretString),
    /// The issuer's public key.
    Pem(String),
    /// Where the issuer's public keys are.
    Jwks(Url),
}

/// Whose tokens are accepted.
#[derive(Debug, Clone)]
pub struct JwtSettings {
    /// What they are checked with.
    pub key: JwtKey,
    /// What they must say.
    pub terms: JwtTerms,
}

impl JwtSettings {
    /// The verifier, and the keys to follow if they are at a URL.
    ///
    /// # Errors
    /// A key that cannot be used.
    pub fn verifier(
        &self,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<(JwtVerifier, Option<Arc<Jwks>>)> {
        let mut followed = None;
        let keys = match &self.key {
            JwtKey::Secret(secret) => JwtKeys::secret(secret).context("`auth.jwt.secret`")?,
            JwtKey::Pem(pem) => JwtKeys::pem(pem).context("`auth.jwt.public_key`")?,
            JwtKey::Jwks(url) => {
                let jwks = Arc::new(Jwks::new(url.clone(), clock.clone())?);
                followed = Some(jwks.clone());
                JwtKeys::jwks(jwks)
            }
        };
        let verifier = JwtVerifier::new(keys, self.terms.clone(), clock.clone());
        Ok((verifier, followed))
    }
}

impl Reader<'_> {
    /// Reads who issues tokens, if anybody does.
    pub(super) fn jwt(&mut self) -> Option<JwtSettings> {
        let text = |name: &str| {
            let text = self.resolved.get(name).filter(|text| !text.is_empty());
            text.map(str::to_owned)
        };
        let (issuer, audience) = (text("auth.jwt.issuer"), text("auth.jwt.audience"));
        let leeway = self.duration("auth.jwt.leeway")?;
        if leeway > MAX_LEEWAY {
            self.refuse("auth.jwt.leeway", "the clocks may be off by up to 5m");
        }
        let named: Vec<_> = KEYS
            .into_iter()
            .filter(|name| self.resolved.get(name).is_some_and(|text| !text.is_empty()))
            .collect();
        let name = match named.as_slice() {
            [] if issuer.is_none() && audience.is_none() => return None,
            [] => {
                let detail = format!("without one of {} no token can be checked", KEYS.join(", "));
                self.refuse("auth.jwt.issuer", detail);
                return None;
            }
            [only] => *only,
            [_, second, ..] => {
                self.refuse(
                    second,
                    format!("only one of {} can be set", named.join(", ")),
                );
                return None;
            }
        };
        let key = self.jwt_key(name)?;
        if !matches!(key, JwtKey::Secret(_)) {
            for (needed, value) in [
                ("auth.jwt.issuer", &issuer),
                ("auth.jwt.audience", &audience),
            ] {
                if value.is_none() {
                    let detail = format!(
                        "with `{name}` it must be set: the issuer may sign tokens for others too"
                    );
                    self.refuse(needed, detail);
                }
            }
        }
        let terms = JwtTerms {
            issuer,
            audience,
            leeway: TimeDelta::from_std(leeway).ok()?,
        };
        Some(JwtSettings { key, terms })
    }

    fn jwt_key(&mut self, name: &str) -> Option<JwtKey> {
        let key = match name {
            "auth.jwt.secret" => {
                let secret = self.secret(name)?;
                if secret.expose_secret().len() < MIN_JWT_SECRET {
                    self.refuse(name, format!("it has {MIN_JWT_SECRET} bytes or more"));
                }
                JwtKey::Secret(secret)
            }
            "auth.jwt.jwks_url" => {
                let url = self.url(name)?;
                if url.scheme() != "https" && !is_loopback(&url) {
                    self.refuse(name, "from another machine keys come over https only");
                }
                JwtKey::Jwks(url)
            }
            "auth.jwt.public_key_file" => {
                let read = |path: &str| {
                    std::fs::read_to_string(path)
                        .map_err(|error| format!("`{path}` cannot be read: {error}"))
                };
                JwtKey::Pem(self.optional(name, read)?)
            }
            _ => JwtKey::Pem(self.resolved.get(name)?.to_owned()),
        };
        if let JwtKey::Pem(pem) = &key
            && let Err(error) = JwtKeys::pem(pem)
        {
            self.refuse(name, error);
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, Resolved, Settings};

    const PEM: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
";

    fn jwt(pairs: &[(&str, &str)]) -> Result<Option<JwtSettings>, String> {
        let mut resolved = Resolved::defaults();
        for (name, value) in pairs {
            resolved.set(&format!("auth.jwt.{name}"), *value, Origin::Default);
        }
        let settings = Settings::of(&resolved).map_err(|error| error.to_string())?;
        Ok(settings.jwt)
    }

    #[test]
    fn tokens_are_accepted_only_by_a_key_and_of_a_named_issuer() {
        assert!(jwt(&[]).unwrap().is_none());
        let secret = "0123456789abcdef0123456789abcdef";
        let by_secret = jwt(&[("secret", secret)]).unwrap().unwrap();
        assert_eq!(by_secret.terms.leeway, TimeDelta::seconds(30));
        assert!(!format!("{by_secret:?}").contains(secret));
        let named = [("issuer", "https://issuer.example"), ("audience", "guard")];
        for key in [
            ("public_key", PEM),
            ("jwks_url", "https://issuer.example/keys"),
            ("jwks_url", "http://127.0.0.1:8080/keys"),
        ] {
            assert!(jwt(&[key, named[0], named[1]]).unwrap().is_some());
            for (missing, other) in [("issuer", named[1]), ("audience", named[0])] {
                let error = jwt(&[key, other]).unwrap_err();
                assert!(error.contains(&format!("`auth.jwt.{missing}`")), "{error}");
            }
        }
        let refused = |pairs: &[(&str, &str)], words: &str| {
            let error = jwt(&[pairs, &named].concat()).unwrap_err();
            assert!(error.contains(words), "{error}");
        };
        refused(&[], "no token can be checked");
        refused(&[("secret", "short")], "32 bytes");
        refused(&[("secret", secret), ("public_key", PEM)], "only one of");
        refused(&[("public_key", "key")], "no public key in PEM");
        refused(&[("public_key_file", "/nowhere.pem")], "`/nowhere.pem`");
        refused(&[("jwks_url", "http://issuer.example/keys")], "https only");
        refused(&[("secret", secret), ("leeway", "6m")], "up to 5m");
    }
}
