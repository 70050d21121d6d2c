#![doc = include_str!("../README.md")]

mod api_key;
mod authenticator;
mod failures;
mod hashing;
mod refusal;
mod static_key;
mod stored_keys;
mod uses;

pub use api_key::{RandomKeys, SecretError};
pub use authenticator::BearerAuthenticator;
pub use static_key::{MIN_KEY_LENGTH, StaticKey, StaticKeyError};
