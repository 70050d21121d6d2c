//! Keys that sign checkpoints: Ed25519, as PKCS#8 and SPKI in PEM, as OpenSSL writes them.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::hash::{hex, sha256};

/// What is before the 32 bytes of an Ed25519 key in SPKI (RFC 8410).
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// How long a public key is.
const LENGTH: usize = 32;

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not PEM of that kind.
    #[error("this is not a PEM block `{0}`")]
    NotPem(&'static str),
    /// Not an Ed25519 key.
    #[error("this is not an Ed25519 key")]
    NotEd25519,
    /// The machine gives no randomness.
    #[error("a key cannot be made")]
    NotMade,
}

/// The key that signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// [`KeyError::NotMade`].
    pub fn generate() -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::NotMade)?;
        Self::of(pair)
    }

    /// Reads PKCS#8 in PEM, as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// What the text is not.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der = from_pem(text, "PRIVATE KEY")?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
        Self::of(pair.map_err(|_| KeyError::NotEd25519)?)
    }

    fn of(pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let bytes = pair.public_key().as_ref().try_into();
        let public = PublicKey(bytes.map_err(|_| KeyError::NotEd25519)?);
        Ok(Self { pair, public })
    }

    /// PKCS#8 in PEM: a secret.
    ///
    /// # Errors
    /// [`KeyError::NotMade`].
    pub fn to_pem(&self) -> Result<String, KeyError> {
        let der = self.pair.to_pkcs8v1().map_err(|_| KeyError::NotMade)?;
        Ok(to_pem(der.as_ref(), "PRIVATE KEY"))
    }

    /// What others verify by.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs bytes.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(bytes).as_ref().to_vec()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public.id())
    }
}

/// A key that verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; LENGTH]);

impl PublicKey {
    /// Reads SPKI in PEM, or the 32 bytes in base64.
    ///
    /// # Errors
    /// What the text is not.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if !text.starts_with("-----") {
            let bytes = STANDARD.decode(text).map_err(|_| KeyError::NotEd25519)?;
            return bytes.try_into().map(Self).map_err(|_| KeyError::NotEd25519);
        }
        let der = from_pem(text, "PUBLIC KEY")?;
        let bytes = der.strip_prefix(&SPKI).ok_or(KeyError::NotEd25519)?;
        bytes.try_into().map(Self).map_err(|_| KeyError::NotEd25519)
    }

    /// SPKI in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        to_pem(&[&SPKI[..], &self.0].concat(), "PUBLIC KEY")
    }

    /// The 32 bytes in base64.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// The name by which checkpoints say who signed them: the first 16 digits of its SHA-256.
    #[must_use]
    pub fn id(&self) -> String {
        let mut id = hex(&sha256(self.0));
        id.truncate(16);
        id
    }

    /// Whether this key signed these bytes.
    #[must_use]
    pub fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        key.verify(bytes, signature).is_ok()
    }
}

fn from_pem(text: &str, label: &'static str) -> Result<Vec<u8>, KeyError> {
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let inside = text
        .split_once(&begin)
        .and_then(|(_, rest)| rest.split_once(&end))
        .map(|(inside, _)| inside);
    let inside: String = inside
        .ok_or(KeyError::NotPem(label))?
        .split_whitespace()
        .collect();
    STANDARD.decode(inside).map_err(|_| KeyError::NotPem(label))
}

fn to_pem(der: &[u8], label: &str) -> String {
    // What is that short fits into a line or two.
    let text = STANDARD.encode(der);
    let (first, rest) = text.split_at(text.len().min(64));
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!("{rest}\n")
    };
    format!("-----BEGIN {label}-----\n{first}\n{rest}-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl genpkey -algorithm ed25519`, and `openssl pkey -pubout` of it.
    const OPENSSL: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIGbomTsJ1dJIakPhWFI3B2SMh2YN8SPKdjnxsZfpyuGK\n-----END PRIVATE KEY-----\n";
    const OPENSSL_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEABVEoEU/0pBK4L4LRWM222epfylNQoNxRA5lDdcwiX5I=\n-----END PUBLIC KEY-----\n";

    #[test]
    fn keys_are_read_as_openssl_writes_them() {
        let key = SigningKey::from_pem(OPENSSL).unwrap();
        assert_eq!(key.public().to_pem(), OPENSSL_PUBLIC);
        assert_eq!(key.to_pem().unwrap(), OPENSSL);
        let public = PublicKey::parse(OPENSSL_PUBLIC).unwrap();
        assert_eq!(PublicKey::parse(&public.to_base64()), Ok(public));
        assert!(public.verifies(b"text", &key.sign(b"text")));
        assert!(!public.verifies(b"texts", &key.sign(b"text")));
        assert!(!format!("{key:?}").contains("BEGIN"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let other = SigningKey::generate().unwrap();
        assert_ne!(
            other.public().id(),
            SigningKey::generate().unwrap().public().id()
        );
        assert_eq!(
            SigningKey::from_pem(OPENSSL_PUBLIC).unwrap_err(),
            KeyError::NotPem("PRIVATE KEY")
        );
        for wrong in ["", "AAAA", "-----BEGIN PUBLIC KEY-----"] {
            PublicKey::parse(wrong).unwrap_err();
        }
    }
}
