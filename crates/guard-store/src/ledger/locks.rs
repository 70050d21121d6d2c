//! Who decides about the same thing decides one after the other.
//!
//! SQLite has one writer. In PostgreSQL a transaction takes advisory locks, which end with it and which poolers let pass,
//! before it reads: for each idempotency key, and for each cooldown and window value of the rules that match. They are
//! taken in one order, in one statement; the statements after it see what the holder before committed. A lock is a hash: two
//! things that share one wait for each other without need. What asks for nothing of these is decided without the past.

use std::collections::BTreeSet;

use guard_app::ports::{Intake, StorageError};
use guard_audit::sha256_of;

use crate::database::Session;
use crate::planted_fault::{PlantedFault::NoCooldownLock, is_planted};
use crate::row::stored_value;

/// The classes of our locks among those of the database; 20039 is "NG".
const KEYS: i64 = 20041;
const VALUES: i64 = 20042;
/// How many different locks there are for cooldown and window values: a server has room for some thousands.
const VALUE_LOCKS: u32 = 2048;

/// The locks of what a batch decides about.
pub(super) struct Locks(BTreeSet<(i64, i64)>);

impl Locks {
    pub(super) fn of(intakes: &[Intake]) -> Self {
        let mut locks = BTreeSet::new();
        for intake in intakes {
            let tenant = intake.tenant.as_str().as_bytes();
            if let Some(key) = &intake.key {
                let source = intake.event.source().as_str().as_bytes();
                locks.insert((KEYS, hash(&[tenant, source, key.key.as_bytes()])));
            }
            let evaluation = &intake.evaluation;
            for found in evaluation.matches.iter().chain(&evaluation.shadows) {
                let rule = found.rule_id.as_str().as_bytes();
                let mut lock = |value: &str| {
                    let hash = hash(&[tenant, rule, stored_value(value).as_bytes()]);
                    locks.insert((VALUES, hash % i64::from(VALUE_LOCKS)));
                };
                if intake.rules.holds_back(found) && !is_planted(NoCooldownLock) {
                    lock(&found.cooldown_value);
                }
                if let Some(value) = &found.window_value {
                    lock(value);
                }
            }
        }
        Self(locks)
    }

    /// Whether the past has no say in the batch.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Begins the transaction, if none has begun, by waiting for whoever decides about one of the same things; nobody else does until
    /// its end.
    pub(super) async fn take(&self, session: &mut Session) -> Result<(), StorageError> {
        if !session.is_shared() {
            return Ok(());
        }
        // Numbers only, which need no parameter.
        let locks = serde_json::to_string(&self.0).unwrap_or_else(|_| "[]".to_owned());
        // The elements come in their order.
        let statement = format!(
            "SELECT count(pg_advisory_xact_lock((l.value ->> 0)::int, (l.value ->> 1)::int))
             FROM jsonb_array_elements('{locks}'::jsonb) l"
        );
        session.begin_with(&statement).await
    }
}

/// A hash that fits in a positive `int`.
fn hash(parts: &[&[u8]]) -> i64 {
    let [a, b, c, d, ..] = sha256_of(parts.iter().flat_map(|part| [part, &[0][..]]));
    i64::from(u32::from_be_bytes([a, b, c, d]) >> 1)
}

#[cfg(test)]
mod tests {
    use super::hash;

    /// Older builds beside this one lock the same.
    #[test]
    fn locks_have_the_numbers_that_they_ever_had() {
        assert_eq!(hash(&[b"cooldown", b"a"]), 391_874_637);
    }
}
