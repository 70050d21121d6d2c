//! What a batch has to know of the past, and of its own beginning.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use guard_app::ports::{CommitOutcome, Consequence, Intake, Receipt, StorageError};
use guard_domain::{EventId, TenantId};
use guard_policy::{StandingState, decide};
use uuid::Uuid;

use super::KEY_LIFETIME;
use super::assumed::Assumed;
use super::record::Batch;
use super::standing::read_standing;
use super::windows::read_matches;
use crate::controls::Control;
use crate::database::{Session, Sql};
use crate::receipt::read_receipt;
use crate::row::{micros, text};

/// What is known of a tenant.
pub(super) struct TenantState {
    live_revision: u64,
    pub(super) standing: StandingState,
}

/// A sender's key: tenant, source, key.
type Key = (TenantId, String, String);

/// What was sent under a key, and decided.
struct Use {
    body_sha256: Vec<u8>,
    receipt: Receipt,
}

pub(super) struct Known {
    pub(super) tenants: HashMap<TenantId, TenantState>,
    keys: HashMap<Key, Use>,
}

impl Known {
    /// What is known without asking: enough for a batch in which the past has no say.
    pub(super) fn assume(assumed: &Assumed) -> Self {
        let state = |(tenant, control): (&TenantId, &Control)| {
            let state = TenantState {
                live_revision: control.live_revision,
                standing: StandingState::new(control.pauses.iter().cloned().collect()),
            };
            (tenant.clone(), state)
        };
        Self {
            tenants: assumed.tenants().map(state).collect(),
            keys: HashMap::new(),
        }
    }

    /// Reads what the batch may need besides: a statement for each kind of thing, however long the batch.
    pub(super) async fn read(
        &mut self,
        session: &mut Session,
        intakes: &[Intake],
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        self.read_keys(session, intakes, now).await?;
        read_standing(session, intakes, &mut self.tenants).await?;
        read_matches(session, intakes, &mut self.tenants).await
    }

    async fn read_keys(
        &mut self,
        session: &mut Session,
        intakes: &[Intake],
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let keys: Vec<Key> = intakes.iter().filter_map(key_of).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let asked: Vec<_> = keys
            .iter()
            .map(|(tenant, source, key)| (tenant.as_str(), source, key))
            .collect();
        let found = session
            .query(Sql {
                sqlite: "SELECT m.key AS place, k.body_sha256, k.event_id FROM json_each($1) m
                         CROSS JOIN event_keys k ON k.tenant = m.value ->> 0 AND k.source = m.value ->> 1
                             AND k.key = m.value ->> 2
                         WHERE k.created_at >= $2",
                // `LIMIT` keeps it from being planned as a join that reads all keys.
                postgres: "SELECT m.place - 1 AS place, k.body_sha256, k.event_id
                           FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY m (value, place)
                           CROSS JOIN LATERAL (
                               SELECT k.body_sha256, k.event_id FROM event_keys k
                               WHERE k.tenant = m.value ->> 0 AND k.source = m.value ->> 1 AND k.key = m.value ->> 2
                                   AND k.created_at + 0 >= $2
                               LIMIT 1) k",
            })
            .bind(serde_json::to_string(&asked).unwrap_or_else(|_| "[]".to_owned()))
            .bind(micros(now - KEY_LIFETIME))
            .fetch_all()
            .await?;
        for row in found {
            let place: i64 = row.get("place")?;
            let Some(key) = usize::try_from(place)
                .ok()
                .and_then(|place| keys.get(place))
            else {
                continue;
            };
            let event_id = EventId::from_uuid(row.get::<Uuid>("event_id")?);
            // A key whose event has been dropped by retention is free again.
            if let Some(receipt) = read_receipt(session, &key.0, event_id).await? {
                let body_sha256 = row.get("body_sha256")?;
                self.keys.insert(
                    key.clone(),
                    Use {
                        body_sha256,
                        receipt,
                    },
                );
            }
        }
        Ok(())
    }

    /// Decides about intakes in their order, and adds what is to be written to the batch.
    pub(super) fn decide_all<'a>(
        &mut self,
        intakes: &'a [Intake],
        batch: &mut Batch<'a>,
    ) -> Vec<CommitOutcome> {
        intakes
            .iter()
            .map(|intake| self.decide(intake, batch))
            .collect()
    }

    fn decide<'a>(&mut self, intake: &'a Intake, batch: &mut Batch<'a>) -> CommitOutcome {
        let key = key_of(intake);
        let digest = intake.key.as_ref().map(|key| key.body_sha256);
        if let Some(used) = key.as_ref().and_then(|key| self.keys.get(key)) {
            return if digest.is_some_and(|digest| used.body_sha256 == digest) {
                CommitOutcome::Replayed(used.receipt.clone())
            } else {
                CommitOutcome::KeyReused
            };
        }
        let Some(tenant) = self.tenants.get_mut(&intake.tenant) else {
            return CommitOutcome::Lost;
        };
        if tenant.live_revision != intake.rules.revision() {
            return CommitOutcome::Outdated;
        }
        let verdict = decide(
            &intake.rules,
            &intake.event,
            &intake.evaluation,
            &tenant.standing,
            batch.now,
            &batch.terms.terms,
        );
        tenant.standing.apply(&verdict);
        let receipt = batch.add(intake, verdict);
        if let (Some(key), Some(digest)) = (key, digest) {
            let replay = Receipt {
                consequence: Consequence::None,
                ..receipt.clone()
            };
            self.keys.insert(
                key,
                Use {
                    body_sha256: digest.to_vec(),
                    receipt: replay,
                },
            );
        }
        CommitOutcome::Recorded(receipt)
    }
}

fn key_of(intake: &Intake) -> Option<Key> {
    let key = intake.key.as_ref()?;
    Some((
        intake.tenant.clone(),
        intake.event.source().as_str().to_owned(),
        text(&key.key).into_owned(),
    ))
}
