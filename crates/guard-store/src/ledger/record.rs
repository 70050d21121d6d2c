//! The rows of a batch of decisions.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use guard_app::ports::{
    CommitTerms, Consequence, ExecutionBrief, Intake, Receipt, StorageError, random_tail,
};
use guard_domain::{Escalation, EscalationId, ExecutionId, ExecutionState, id};
use guard_policy::{Effect, Verdict};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::windows::write_matches;
use crate::audit::{AuditWriter, Record, Subject};
use crate::database::{Cell, Insert, Session, Sql};
use crate::execution::insert_escalation;
use crate::row::{micros, stored_value, text};
use crate::store::Store;

/// What a transaction is to write.
pub(super) struct Batch<'a> {
    store: &'a Store,
    pub(super) terms: &'a CommitTerms,
    /// When everything in it is decided.
    pub(super) now: DateTime<Utc>,
    audit: AuditWriter,
    entries: Vec<Entry<'a>>,
}

/// What is to be written about one intake.
struct Entry<'a> {
    intake: &'a Intake,
    verdict: Verdict,
    execution: Option<ExecutionBrief>,
    escalation: Option<Escalation>,
}

const INSERT_KEYS: Insert = Insert(Sql {
    sqlite: "INSERT INTO event_keys (tenant, source, key, body_sha256, event_id, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (tenant, source, key) DO UPDATE SET body_sha256 = excluded.body_sha256,
                 event_id = excluded.event_id, created_at = excluded.created_at",
    postgres: "INSERT INTO event_keys (tenant, source, key, body_sha256, event_id, created_at)
               SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bytea[], $5::uuid[], $6::bigint[])
               ON CONFLICT (tenant, source, key) DO UPDATE SET body_sha256 = excluded.body_sha256,
                   event_id = excluded.event_id, created_at = excluded.created_at",
});

const INSERT_EVENTS: Insert = Insert(Sql {
    sqlite: "INSERT INTO events (tenant, event_id, received_at, event_type, severity, source, occurred_at, decision, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    postgres: "INSERT INTO events (tenant, event_id, received_at, event_type, severity, source, occurred_at, decision, body)
               SELECT * FROM UNNEST($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[],
                   $7::bigint[], $8::text[], $9::text[])",
});

const INSERT_EXECUTIONS: Insert = Insert(Sql {
    sqlite: "INSERT INTO rule_executions (tenant, execution_id, event_id, rule_id, rule_version, playbook, severity,
                 severity_rank, state, cooldown_value, params, next_attempt_at, deadline, executed_at, finished_at, message,
                 traceparent)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    postgres: "INSERT INTO rule_executions (tenant, execution_id, event_id, rule_id, rule_version, playbook, severity,
                   severity_rank, state, cooldown_value, params, next_attempt_at, deadline, executed_at, finished_at,
                   message, traceparent)
               SELECT * FROM UNNEST($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[],
                   $7::text[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[],
                   $14::bigint[], $15::bigint[], $16::text[], $17::text[])",
});

const CLAIM_COOLDOWNS: Insert = Insert(Sql {
    sqlite: "INSERT INTO cooldowns (tenant, rule_id, value, claimed_by, until) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant, rule_id, value) DO UPDATE SET claimed_by = excluded.claimed_by, until = excluded.until",
    postgres: "INSERT INTO cooldowns (tenant, rule_id, value, claimed_by, until)
               SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::uuid[], $5::bigint[])
               ON CONFLICT (tenant, rule_id, value) DO UPDATE SET claimed_by = excluded.claimed_by, until = excluded.until",
});

impl<'a> Batch<'a> {
    pub(super) const fn new(
        store: &'a Store,
        terms: &'a CommitTerms,
        now: DateTime<Utc>,
        audit: AuditWriter,
    ) -> Self {
        Self {
            store,
            terms,
            now,
            audit,
            entries: Vec::new(),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn into_audit(self) -> AuditWriter {
        self.audit
    }

    /// Adds what was decided about an intake. The receipt holds once the batch is committed.
    pub(super) fn add(&mut self, intake: &'a Intake, mut verdict: Verdict) -> Receipt {
        let message = text(&verdict.decision.message).into_owned();
        verdict.decision.message = message;
        let execution = self.execution(&verdict);
        let escalation = self.escalation(intake, &verdict, execution.as_ref());
        let digest: [u8; 32] = Sha256::digest(intake.event.body()).into();
        let record = Record {
            tenant: &intake.tenant,
            action: "decision",
            actor: &intake.origin.subject,
            request_id: Some(&intake.origin.request_id),
            target: None,
            subject: Subject {
                event: Some((intake.event_id, digest)),
                decision: Some(&verdict.decision),
                execution_id: execution.as_ref().map(|found| found.id),
                shadows: &verdict.shadows,
            },
            message: &verdict.decision.message,
        };
        self.audit.add(self.store.random.as_ref(), record);
        let consequence = match (&verdict.effect, &verdict.decision.rule_id, &escalation) {
            (Effect::Playbook { dry_run: false, .. }, ..) => Consequence::Dispatch,
            (Effect::Log(level), Some(rule_id), _) => Consequence::Log(*level, rule_id.clone()),
            (Effect::Escalate { .. }, _, Some(escalation)) => {
                Consequence::Announce(escalation.clone())
            }
            _ => Consequence::None,
        };
        let receipt = Receipt {
            event_id: intake.event_id,
            decision: verdict.decision.clone(),
            execution: execution.clone(),
            consequence,
        };
        self.entries.push(Entry {
            intake,
            verdict,
            execution,
            escalation,
        });
        receipt
    }

    fn execution(&self, verdict: &Verdict) -> Option<ExecutionBrief> {
        let Effect::Playbook { name, dry_run, .. } = &verdict.effect else {
            return None;
        };
        let tail = id::counted(self.audit.count(), random_tail(self.store.random.as_ref()));
        Some(ExecutionBrief {
            id: ExecutionId::new(self.now, tail),
            playbook: name.clone(),
            state: if *dry_run {
                ExecutionState::DryRun
            } else {
                ExecutionState::Queued
            },
        })
    }

    fn escalation(
        &self,
        intake: &Intake,
        verdict: &Verdict,
        execution: Option<&ExecutionBrief>,
    ) -> Option<Escalation> {
        let Effect::Escalate {
            contact,
            reason,
            message,
        } = &verdict.effect
        else {
            return None;
        };
        Some(Escalation {
            id: EscalationId::new(self.now, random_tail(self.store.random.as_ref())),
            reason: *reason,
            contact: contact.clone(),
            severity: intake.event.severity(),
            message: message.clone(),
            event_id: Some(intake.event_id),
            execution_id: execution.map(|execution| execution.id),
            rule_id: verdict.decision.rule_id.clone(),
            created_at: self.now,
        })
    }

    /// Writes everything but the audit trail: a statement for each table, in one order.
    pub(super) async fn write(&self, session: &mut Session) -> Result<(), StorageError> {
        self.write_keys(session).await?;
        self.write_events(session).await?;
        self.write_executions(session).await?;
        self.write_cooldowns(session).await?;
        let windows = self.entries.iter().flat_map(|entry| {
            let windows = entry.verdict.windows.iter();
            windows.map(|window| (entry.intake, window))
        });
        write_matches(session, &windows.collect::<Vec<_>>()).await?;
        for entry in &self.entries {
            if let Some(escalation) = &entry.escalation {
                insert_escalation(session, &entry.intake.tenant, escalation).await?;
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
        session.insert(INSERT_KEYS, &rows).await
    }

    async fn write_events(&self, session: &mut Session) -> Result<(), StorageError> {
        let rows: Vec<_> = self
            .entries
            .iter()
            .map(
                |Entry {
                     intake, verdict, ..
                 }| {
                    let event = &intake.event;
                    [
                        intake.tenant.as_str().into(),
                        intake.event_id.as_uuid().into(),
                        micros(intake.received_at).into(),
                        event.event_type().as_str().into(),
                        event.severity().as_str().into(),
                        event.source().as_str().into(),
                        micros(event.timestamp()).into(),
                        verdict.decision.kind.as_str().into(),
                        event.body().into(),
                    ]
                },
            )
            .collect();
        session.insert(INSERT_EVENTS, &rows).await
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
        session.insert(INSERT_EXECUTIONS, &rows).await
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
        session.insert(CLAIM_COOLDOWNS, &rows).await
    }
}
