//! Hashing what people choose: slow on purpose, and so never more than a little at once.

use std::sync::Arc;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use guard_app::metric;
use metrics::counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many hashes are worked out at once: each takes 19 MiB and a core.
const AT_ONCE: usize = 2;
/// How long to wait for a turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// The argon2id hash of a text as a PHC string, with the parameters that OWASP recommends: 19 MiB, two passes.
pub(crate) fn hash(text: &str, salt: &[u8]) -> Option<String> {
    let hashed = Argon2::default().hash_password_with_salt(text.as_bytes(), salt);
    hashed.ok().map(|hash| hash.to_string())
}

/// Compares with hashes, a few at once.
pub(crate) struct Hashing {
    places: Arc<Semaphore>,
}

/// The turn to compare with a hash.
pub(crate) struct Turn(OwnedSemaphorePermit);

impl Default for Hashing {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Hashing {
    /// Waits for a turn; `None` if there is none for too long.
    pub(crate) async fn turn(&self) -> Option<Turn> {
        let place = self.places.clone().acquire_owned();
        let place = tokio::time::timeout(PATIENCE, place).await.ok()?;
        place.ok().map(Turn)
    }
}

impl Turn {
    /// Whether a hash is that of a text. The turn lasts until it is worked out, even if nobody waits for it any more.
    pub(crate) async fn compare(self, hash: &str, text: &str) -> bool {
        counter!(metric::KEY_HASHES).increment(1);
        let (hash, text) = (hash.to_owned(), text.to_owned());
        let compared = tokio::task::spawn_blocking(move || {
            let right = Argon2::default().verify_password(text.as_bytes(), hash.as_str());
            drop(self.0);
            right.is_ok()
        });
        compared.await.unwrap_or(false)
    }
}
