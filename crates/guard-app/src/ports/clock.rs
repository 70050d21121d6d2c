//! Time and randomness.

use chrono::{DateTime, Utc};

/// The time by which everything is decided.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> DateTime<Utc>;
}

/// Unpredictable bits: for ids, for jitter and for keys.
pub trait Random: Send + Sync {
    /// 128 random bits.
    fn next_u128(&self) -> u128;
}

/// The random part of a version 7 UUID.
#[must_use]
pub fn random_tail(random: &dyn Random) -> [u8; 10] {
    let [tail @ .., _, _, _, _, _, _] = random.next_u128().to_be_bytes();
    tail
}
