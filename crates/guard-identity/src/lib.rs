#![doc = include_str!("../README.md")]

mod api_key;
mod authenticator;
mod static_key;

pub use api_key::{GeneratedKey, generate_admin_key};
pub use authenticator::KeyAuthenticator;
pub use static_key::{MIN_KEY_LENGTH, StaticKey, StaticKeyError};
