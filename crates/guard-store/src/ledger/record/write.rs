//! What a batch of decisions brings about.

use std::collections::BTreeMap;

use guard_app::ports::StorageError;
use guard_policy::Effect;
use uuid::Uuid;

use super::Batch;
use crate::database::{Cell, Insert, Session, insert};
use crate::ledger::windows::write_matches;
use crate::row::{micros, stored_value, text};

static INSERT_KEYS: Insert = insert!(
    "event_keys (tenant, source, key, body_sha256, event_id, created_at)",
    "(?, ?, ?, ?, ?, ?)",
    "$1::text[], $2::text[], $3::text[], $4::bytea[], $5::uuid[], $6::bigint[]",
    "ON CONFLICT (tenant, source, key) DO UPDATE SET body_sha256 = excluded.body_sha256, event_id = excluded.event_id,
         created_at = excluded.created_at"
);

static INSERT_EXECUTIONS: Insert = insert!(
    "rule_executions (tenant, execution_id, event_id, rule_id, rule_version, playbook, severity, severity_rank, state,
         cooldown_value, params, next_attempt_at, deadline, executed_at, finished_at, message, traceparent)",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "$1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::text[],
         $10::text[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[], $17::text[]",
    ""
);

static CLAIM_COOLDOWNS: Insert = insert!(
    "cooldowns (tenant, rule_id, value, claimed_by, until)",
    "(?, ?, ?, ?, ?)",
    "$1::text[], $2::text[], $3::text[], $4::uuid[], $5::bigint[]",
    "ON CONFLICT (tenant, rule_id, value) DO UPDATE SET claimed_by = excluded.claimed_by, until = excluded.until"
);

impl Batch<'_> {
    /// Writes what the decisions bring about beside the record: a statement for each table, in one order.
    pub(in crate::ledger) async fn write_effects(
        &self,
        session: &mut Session,
    ) -> Result<(), StorageError> {
        self.write_keys(session).await?;
        self.write_executions(session).await?;
        self.write_cooldowns(session).await?;
        let windows = self.entries.iter().flat_map(|entry| {
            let windows = entry.verdict.windows.iter();
            windows.map(|window| (entry.intake, window))
        });
        write_matches(session, &windows.collect::<Vec<_>>()).await?;
        for entry in &self.entries {
            if let Some(escalation) = &entry.escalation {
                let tenant = &entry.intake.tenant;
                self.store.raise(session, tenant, escalation).await?;
            }
        }
        Ok(())
    }

    async fn write_keys(&self, session: &mut Session) -> Result<(), StorageError> {
        let keys: Vec<_> = self
            .entries
            .iter()
            .filter_map(|entry| Some((entry.intake, entry.intake.key.as_ref()?)))
            .map(|(intake, key)| (intake, key, text(&key.key)))
            .collect();
        let rows: Vec<_> = keys
            .iter()
            .map(|(intake, key, stored)| {
                [
                    intake.tenant.as_str().into(),
                    intake.event.source().as_str().into(),
                    stored.as_ref().into(),
                    key.body_sha256.as_slice().into(),
                    intake.event_id.as_uuid().into(),
                    micros(self.now).into(),
                ]
            })
            .collect();
        session.insert(&INSERT_KEYS, &rows).await
    }

    async fn write_executions(&self, session: &mut Session) -> Result<(), StorageError> {
        let mut rows = Vec::new();
        let values: Vec<_> = self
            .entries
            .iter()
            .map(|entry| entry.verdict.claim.as_ref())
            .map(|claim| claim.map(|claim| stored_value(&claim.value)))
            .collect();
        for (entry, value) in self.entries.iter().zip(&values) {
            let decision = &entry.verdict.decision;
            let (
                Some(execution),
                Effect::Playbook {
                    params, dry_run, ..
                },
            ) = (&entry.execution, &entry.verdict.effect)
            else {
                continue;
            };
            let (Some(rule_id), Some(version)) = (&decision.rule_id, decision.rule_version) else {
                continue;
            };
            let (intake, now) = (entry.intake, micros(self.now));
            rows.push([
                intake.tenant.as_str().into(),
                execution.id.as_uuid().into(),
                intake.event_id.as_uuid().into(),
                rule_id.as_str().into(),
                i64::from(version).into(),
                execution.playbook.as_str().into(),
                intake.event.severity().as_str().into(),
                i64::from(intake.event.severity().rank()).into(),
                execution.state.as_str().into(),
                value.as_deref().unwrap_or_default().into(),
                params.as_str().into(),
                now.into(),
                micros(self.now + self.terms.execution_deadline).into(),
                now.into(),
                Cell::Number(dry_run.then_some(now)),
                Cell::Text(dry_run.then_some(decision.message.as_str())),
                Cell::Text(intake.origin.traceparent.as_deref()),
            ]);
        }
        session.insert(&INSERT_EXECUTIONS, &rows).await
    }

    async fn write_cooldowns(&self, session: &mut Session) -> Result<(), StorageError> {
        // Of two values that are stored as one, the later claim stays.
        let mut claims: BTreeMap<_, (Uuid, i64)> = BTreeMap::new();
        for entry in &self.entries {
            let Some(claim) = &entry.verdict.claim else {
                continue;
            };
            let Some(until) = claim.until else { continue };
            let claimed_by = match &entry.execution {
                Some(execution) => execution.id.as_uuid(),
                None => entry.intake.event_id.as_uuid(),
            };
            let key = (
                entry.intake.tenant.as_str(),
                claim.rule_id.as_str(),
                stored_value(&claim.value),
            );
            claims.insert(key, (claimed_by, micros(until)));
        }
        let rows: Vec<[Cell<'_>; 5]> = claims
            .iter()
            .map(|((tenant, rule, value), (claimed_by, until))| {
                [
                    (*tenant).into(),
                    (*rule).into(),
                    value.as_ref().into(),
                    (*claimed_by).into(),
                    (*until).into(),
                ]
            })
            .collect();
        session.insert(&CLAIM_COOLDOWNS, &rows).await
    }
}
