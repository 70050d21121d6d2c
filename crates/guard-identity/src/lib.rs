#![doc = include_str!("../README.md")]

mod api_key;
mod authenticator;
mod failures;
mod hashing;
mod jwks;
mod jwt;
mod refusal;
mod static_key;
mod stored_keys;
mod uses;

pub use api_key::{RandomKeys, SecretError};
pub use authenticator::BearerAuthenticator;
pub use jwks::{Jwks, JwksError};
pub use jwt::{JwtKeyError, JwtKeys, JwtTerms, JwtVerifier, MIN_JWT_SECRET};
pub use static_key::{MIN_KEY_LENGTH, StaticKey, StaticKeyError};
