//! Keys: `ng_<id>_<secret>`.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use guard_app::ports::{FreshKey, KeyDigest, KeyMaker, Random};
use guard_app::sha256;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::hashing;
use crate::static_key::MIN_KEY_LENGTH;

/// The longest secret that somebody may choose, in characters.
const MAX_SECRET: usize = 256;

/// A secret that cannot be part of a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretError {
    /// It is too short or too long.
    #[error("the secret has {0} characters, and needs {MIN_KEY_LENGTH} to {MAX_SECRET}")]
    Length(usize),
    /// It would not fit into a header.
    #[error("the secret may have letters, digits and punctuation of ASCII, and no spaces")]
    Characters,
    /// It could not be hashed.
    #[error("the secret cannot be hashed")]
    Hash,
}

/// Makes keys from a source of randomness.
pub struct RandomKeys(pub Arc<dyn Random>);

impl RandomKeys {
    fn id(&self) -> String {
        format!("{:016x}", self.0.next_u128() >> 64)
    }

    /// A key around a secret that somebody chose.
    ///
    /// # Errors
    /// [`SecretError`] for a secret that cannot be one.
    pub fn of_secret(&self, secret: &SecretString) -> Result<FreshKey, SecretError> {
        let secret = secret.expose_secret();
        let length = secret.chars().count();
        if !(MIN_KEY_LENGTH..=MAX_SECRET).contains(&length) {
            return Err(SecretError::Length(length));
        }
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SecretError::Characters);
        }
        let id = self.id();
        let key = format!("ng_{id}_{secret}");
        let salt = self.0.next_u128().to_be_bytes();
        let hash = hashing::hash(&key, &salt).ok_or(SecretError::Hash)?;
        Ok(FreshKey {
            id,
            key: key.into(),
            digest: KeyDigest::Argon2id(hash),
        })
    }
}

impl KeyMaker for RandomKeys {
    fn generate(&self) -> FreshKey {
        let id = self.id();
        let secret = [
            self.0.next_u128().to_be_bytes(),
            self.0.next_u128().to_be_bytes(),
        ]
        .concat();
        let key = format!("ng_{id}_{}", BASE64_URL_SAFE_NO_PAD.encode(secret));
        FreshKey {
            id,
            digest: KeyDigest::Sha256(sha256(&key)),
            key: key.into(),
        }
    }
}

/// What a key begins with.
pub(crate) const KEY_PREFIX: &str = "ng_";

/// The id inside a key: letters and digits, as every key of ours has, and nothing else reaches the database.
pub(crate) fn id_of(token: &str) -> Option<&str> {
    let (id, secret) = token.strip_prefix(KEY_PREFIX)?.split_once('_')?;
    let is_id = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    (is_id && !secret.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use guard_testkit::SeededRandom;

    use super::*;

    #[test]
    fn an_id_is_letters_and_digits() {
        assert_eq!(id_of("ng_0aZ_b_c"), Some("0aZ"));
        let long = format!("ng_{}_b", "a".repeat(65));
        for wrong in [
            "ng__b",
            "ng_a_",
            "ng_a",
            "a_b",
            "ng_a\0_b",
            "ng_$f.b_c",
            "ng_ä_b",
            &long,
        ] {
            assert_eq!(id_of(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_chosen_secret_is_bounded_and_fits_a_header() {
        let keys = RandomKeys(Arc::new(SeededRandom::default()));
        let of = |secret: &str| keys.of_secret(&secret.to_owned().into());
        let made = of("correct-horse_battery").unwrap();
        let whole = format!("ng_{}_correct-horse_battery", made.id);
        assert_eq!(made.key.expose_secret(), whole);
        assert_eq!(id_of(&whole), Some(made.id.as_str()));
        let KeyDigest::Argon2id(hash) = &made.digest else {
            panic!("{:?}", made.digest)
        };
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(!format!("{made:?}").contains("horse"), "{made:?}");
        assert_eq!(of("short").unwrap_err(), SecretError::Length(5));
        assert_eq!(of(&"x".repeat(257)).unwrap_err(), SecretError::Length(257));
        for wrong in [
            "sixteen with space",
            "sixteen-chars-ü-x",
            "sixteen-chars-x\n",
        ] {
            assert_eq!(of(wrong).unwrap_err(), SecretError::Characters, "{wrong}");
        }
    }
}
