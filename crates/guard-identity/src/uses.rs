//! When keys were last used, written now and then.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{ApiKey, ApiKeys, KeyUse, StorageError};
use guard_domain::TenantId;

/// How often the use of one key is written at most.
const EVERY: TimeDelta = TimeDelta::minutes(1);
/// How many keys are remembered; the use of further ones is not noted until there is room.
const MAX_REMEMBERED: usize = 10_000;
/// How many are written in one transaction.
const AT_ONCE: usize = 100;

struct Use {
    tenant: TenantId,
    at: DateTime<Utc>,
    written: Option<DateTime<Utc>>,
}

impl Use {
    fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.written
            .is_none_or(|written| self.at > written && now - written >= EVERY)
    }
}

/// The keys that were used lately.
#[derive(Default)]
pub(crate) struct KeyUses {
    lately: Mutex<HashMap<String, Use>>,
}

impl KeyUses {
    /// Notes that a key was used: no more than a look into a table.
    pub(crate) fn note(&self, key: &ApiKey, now: DateTime<Utc>) {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lately.get_mut(&key.id) {
            known.at = now;
        } else if lately.len() < MAX_REMEMBERED {
            let fresh = Use {
                tenant: key.tenant.clone(),
                at: now,
                written: None,
            };
            lately.insert(key.id.clone(), fresh);
        }
    }

    /// Writes what has not been written for a minute.
    pub(crate) async fn write(
        &self,
        keys: &dyn ApiKeys,
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        for uses in self.due(now).chunks(AT_ONCE) {
            keys.note_uses(uses).await?;
        }
        Ok(())
    }

    /// What is to be written now. Should that fail, it is written the next time the key is used: it is only for people to look at.
    fn due(&self, now: DateTime<Utc>) -> Vec<KeyUse> {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        lately.retain(|_, known| now - known.at < EVERY * 2);
        let mut due: Vec<_> = lately
            .iter_mut()
            .filter(|(_, known)| known.is_due(now))
            .map(|(id, known)| {
                known.written = Some(now);
                KeyUse {
                    tenant: known.tenant.clone(),
                    id: id.clone(),
                    at: known.at,
                }
            })
            .collect();
        // In one order everywhere, so that two instances do not wait for each other.
        due.sort_by(|one, other| one.id.cmp(&other.id));
        due
    }
}
