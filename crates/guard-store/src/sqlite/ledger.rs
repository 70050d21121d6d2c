//! Recording events and decisions.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{
    CommitOutcome, CommitTerms, Consequence, ExecutionBrief, Intake, Ledger, Pause, Receipt,
    StorageError, random_tail,
};
use guard_domain::{Escalation, EscalationId, EventId, ExecutionId, ExecutionState, TenantId};
use guard_policy::{CooldownClaim, Effect, Pauses, StandingState, Verdict, decide};
use sha2::{Digest, Sha256};
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::audit::{AuditWriter, Record, Subject};
use super::controls::read_control;
use super::execution::insert_escalation;
use super::receipt::read_receipt;
use super::{SqliteStore, commit, stored_value};
use crate::error::{is_data_error, unavailable};
use crate::row::{micros, moment};

/// How long an idempotency key is kept.
const KEY_LIFETIME: TimeDelta = TimeDelta::hours(24);

#[async_trait]
impl Ledger for SqliteStore {
    async fn commit(
        &self,
        batch: &[Intake],
        terms: &CommitTerms,
    ) -> Result<Vec<CommitOutcome>, StorageError> {
        // A row that the database refuses must not take the others down: halve until it is alone.
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            match (self.commit_part(part, terms).await, part) {
                (Ok(done), _) => outcomes.extend(done),
                (Err(error), [_]) if is_data_error(&error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "a row is refused");
                    outcomes.push(CommitOutcome::Rejected(
                        "the database refuses its data".into(),
                    ));
                }
                (Err(error), _) if is_data_error(&error) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.push(second);
                    parts.push(first);
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(outcomes)
    }

    async fn find_receipts(
        &self,
        events: &[(TenantId, EventId)],
    ) -> Result<Vec<Option<Receipt>>, StorageError> {
        // The connection that writes sees what was written last.
        let mut connection = self.writer.acquire().await.map_err(unavailable)?;
        let mut receipts = Vec::with_capacity(events.len());
        for (tenant, event) in events {
            receipts.push(read_receipt(&mut connection, tenant, *event).await?);
        }
        Ok(receipts)
    }

    async fn forget_old_keys(&self, limit: u32) -> Result<u64, StorageError> {
        let before = micros(self.clock.now() - KEY_LIFETIME);
        let done = sqlx::query(
            "DELETE FROM event_keys WHERE (tenant, source, key) IN
                 (SELECT tenant, source, key FROM event_keys WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)",
        )
        .bind(before)
        .bind(limit)
        .execute(&self.writer)
        .await
        .map_err(unavailable)?;
        Ok(done.rows_affected())
    }
}

/// What a batch needs to know of a tenant.
struct TenantState {
    live_revision: u64,
    standing: StandingState,
}

/// One transaction's work.
struct Commit<'a> {
    store: &'a SqliteStore,
    terms: &'a CommitTerms,
    now: DateTime<Utc>,
    tenants: HashMap<TenantId, TenantState>,
    audit: AuditWriter,
}

impl SqliteStore {
    async fn commit_part(
        &self,
        batch: &[Intake],
        terms: &CommitTerms,
    ) -> Result<Vec<CommitOutcome>, StorageError> {
        let mut transaction = self.begin().await?;
        let mut chain = self.chain.lock().await;
        let now = self.clock.now();
        let audit = self.audit(&mut chain, now);
        let mut work = Commit {
            store: self,
            terms,
            now,
            tenants: HashMap::new(),
            audit,
        };
        let mut outcomes = Vec::with_capacity(batch.len());
        for intake in batch {
            outcomes.push(work.take(&mut transaction, intake).await?);
        }
        if outcomes
            .iter()
            .any(|outcome| matches!(outcome, CommitOutcome::Recorded(_)))
        {
            let head = self.seal(&mut transaction, &mut chain, work.audit).await?;
            commit(transaction).await?;
            chain.advance(head);
        }
        Ok(outcomes)
    }
}

impl Commit<'_> {
    async fn take(
        &mut self,
        connection: &mut SqliteConnection,
        intake: &Intake,
    ) -> Result<CommitOutcome, StorageError> {
        if let Some(outcome) = self.find_repetition(connection, intake).await? {
            return Ok(outcome);
        }
        self.load_tenant(connection, &intake.tenant).await?;
        let Some(tenant) = self.tenants.get_mut(&intake.tenant) else {
            return Ok(CommitOutcome::Outdated);
        };
        if tenant.live_revision != intake.rules.revision() {
            return Ok(CommitOutcome::Outdated);
        }
        load_standing(connection, intake, &mut tenant.standing).await?;
        let verdict = decide(
            &intake.rules,
            &intake.event,
            &intake.evaluation,
            &tenant.standing,
            self.now,
            &self.terms.terms,
        );
        tenant.standing.apply(&verdict);
        self.record(connection, intake, verdict)
            .await
            .map(CommitOutcome::Recorded)
    }

    /// Takes the idempotency key, or finds what was done under it before.
    async fn find_repetition(
        &self,
        connection: &mut SqliteConnection,
        intake: &Intake,
    ) -> Result<Option<CommitOutcome>, StorageError> {
        let Some(key) = &intake.key else {
            return Ok(None);
        };
        let source = intake.event.source().as_str();
        let known = sqlx::query(
            "SELECT body_sha256, event_id FROM event_keys
             WHERE tenant = ?1 AND source = ?2 AND key = ?3 AND created_at >= ?4",
        )
        .bind(intake.tenant.as_str())
        .bind(source)
        .bind(&key.key)
        .bind(micros(self.now - KEY_LIFETIME))
        .fetch_optional(&mut *connection)
        .await
        .map_err(unavailable)?;
        if let Some(row) = known {
            let digest: Vec<u8> = row.try_get("body_sha256").map_err(unavailable)?;
            let event_id: Uuid = row.try_get("event_id").map_err(unavailable)?;
            if digest != key.body_sha256 {
                return Ok(Some(CommitOutcome::KeyReused));
            }
            let event_id = EventId::from_uuid(event_id);
            let receipt = read_receipt(connection, &intake.tenant, event_id).await?;
            // A key whose event has been dropped by retention is free again.
            if let Some(receipt) = receipt {
                return Ok(Some(CommitOutcome::Replayed(receipt)));
            }
        }
        Ok(None)
    }

    async fn load_tenant(
        &mut self,
        connection: &mut SqliteConnection,
        tenant: &TenantId,
    ) -> Result<(), StorageError> {
        if !self.tenants.contains_key(tenant) {
            let control = read_control(connection, tenant).await?;
            let pauses: Pauses = control
                .pauses
                .into_iter()
                .collect::<Vec<Pause>>()
                .into_iter()
                .collect();
            let state = TenantState {
                live_revision: control.live_revision,
                standing: StandingState::new(pauses),
            };
            self.tenants.insert(tenant.clone(), state);
        }
        Ok(())
    }

    async fn record(
        &mut self,
        connection: &mut SqliteConnection,
        intake: &Intake,
        verdict: Verdict,
    ) -> Result<Receipt, StorageError> {
        self.insert_key(connection, intake).await?;
        self.insert_event(connection, intake, &verdict).await?;
        let execution = self.insert_execution(connection, intake, &verdict).await?;
        if let Some(claim) = &verdict.claim {
            let claimed_by = execution
                .as_ref()
                .map_or(intake.event_id.as_uuid(), |found| found.id.as_uuid());
            claim_cooldown(connection, &intake.tenant, claim, claimed_by).await?;
        }
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
        self.store
            .write_record(connection, &mut self.audit, record)
            .await?;
        let consequence = self
            .consequence(connection, intake, &verdict, execution.as_ref())
            .await?;
        let decision = verdict.decision;
        Ok(Receipt {
            event_id: intake.event_id,
            decision,
            execution,
            consequence,
        })
    }

    async fn insert_key(
        &self,
        connection: &mut SqliteConnection,
        intake: &Intake,
    ) -> Result<(), StorageError> {
        let Some(key) = &intake.key else {
            return Ok(());
        };
        sqlx::query(
            "INSERT OR REPLACE INTO event_keys (tenant, source, key, body_sha256, event_id, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(intake.tenant.as_str())
        .bind(intake.event.source().as_str())
        .bind(&key.key)
        .bind(key.body_sha256.to_vec())
        .bind(intake.event_id.as_uuid())
        .bind(micros(self.now))
        .execute(connection)
        .await
        .map_err(unavailable)?;
        Ok(())
    }

    async fn insert_event(
        &self,
        connection: &mut SqliteConnection,
        intake: &Intake,
        verdict: &Verdict,
    ) -> Result<(), StorageError> {
        let event = &intake.event;
        sqlx::query(
            "INSERT INTO events (tenant, event_id, received_at, event_type, severity, source, occurred_at, decision,
                 body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .bind(intake.tenant.as_str())
        .bind(intake.event_id.as_uuid())
        .bind(micros(intake.received_at))
        .bind(event.event_type().as_str())
        .bind(event.severity().as_str())
        .bind(event.source().as_str())
        .bind(micros(event.timestamp()))
        .bind(verdict.decision.kind.as_str())
        .bind(event.body())
        .execute(connection)
        .await
        .map_err(unavailable)?;
        Ok(())
    }

    async fn insert_execution(
        &self,
        connection: &mut SqliteConnection,
        intake: &Intake,
        verdict: &Verdict,
    ) -> Result<Option<ExecutionBrief>, StorageError> {
        let Effect::Playbook {
            name,
            params,
            dry_run,
        } = &verdict.effect
        else {
            return Ok(None);
        };
        let decision = &verdict.decision;
        let (Some(rule_id), Some(version)) = (&decision.rule_id, decision.rule_version) else {
            return Ok(None);
        };
        let id = ExecutionId::new(self.now, random_tail(self.store.random.as_ref()));
        let state = if *dry_run {
            ExecutionState::DryRun
        } else {
            ExecutionState::Queued
        };
        let value = verdict
            .claim
            .as_ref()
            .map_or("", |claim| claim.value.as_str());
        sqlx::query(
            "INSERT INTO rule_executions (tenant, execution_id, event_id, rule_id, rule_version, playbook, severity,
                 severity_rank, state, cooldown_value, params, next_attempt_at, deadline, executed_at, finished_at,
                 message, traceparent)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?12, ?14, ?15, ?16)",
        )
        .bind(intake.tenant.as_str())
        .bind(id.as_uuid())
        .bind(intake.event_id.as_uuid())
        .bind(rule_id.as_str())
        .bind(version)
        .bind(name.as_str())
        .bind(intake.event.severity().as_str())
        .bind(intake.event.severity().rank())
        .bind(state.as_str())
        .bind(stored_value(value))
        .bind(params)
        .bind(micros(self.now))
        .bind(micros(self.now + self.terms.execution_deadline))
        .bind(dry_run.then(|| micros(self.now)))
        .bind(dry_run.then_some(decision.message.as_str()))
        .bind(&intake.origin.traceparent)
        .execute(connection)
        .await
        .map_err(unavailable)?;
        Ok(Some(ExecutionBrief {
            id,
            playbook: name.clone(),
            state,
        }))
    }

    async fn consequence(
        &self,
        connection: &mut SqliteConnection,
        intake: &Intake,
        verdict: &Verdict,
        execution: Option<&ExecutionBrief>,
    ) -> Result<Consequence, StorageError> {
        let rule_id = verdict.decision.rule_id.clone();
        Ok(match (&verdict.effect, rule_id) {
            (Effect::Playbook { dry_run: false, .. }, _) => Consequence::Dispatch,
            (Effect::Log(level), Some(rule_id)) => Consequence::Log(*level, rule_id),
            (
                Effect::Escalate {
                    contact,
                    reason,
                    message,
                },
                rule_id,
            ) => {
                let escalation = Escalation {
                    id: EscalationId::new(self.now, random_tail(self.store.random.as_ref())),
                    reason: *reason,
                    contact: contact.clone(),
                    severity: intake.event.severity(),
                    message: message.clone(),
                    event_id: Some(intake.event_id),
                    execution_id: execution.map(|execution| execution.id),
                    rule_id,
                    created_at: self.now,
                };
                insert_escalation(connection, &intake.tenant, &escalation).await?;
                Consequence::Announce(escalation)
            }
            _ => Consequence::None,
        })
    }
}

/// Reads what holds the matching rules back.
async fn load_standing(
    connection: &mut SqliteConnection,
    intake: &Intake,
    standing: &mut StandingState,
) -> Result<(), StorageError> {
    for found in &intake.evaluation.matches {
        let value = stored_value(&found.cooldown_value);
        let row = sqlx::query(
            "SELECT (SELECT until FROM cooldowns WHERE tenant = ?1 AND rule_id = ?2 AND value = ?3) AS until,
                    EXISTS (SELECT 1 FROM rule_executions WHERE tenant = ?1 AND rule_id = ?2 AND cooldown_value = ?3
                            AND state IN ('queued', 'dispatching')) AS undelivered",
        )
        .bind(intake.tenant.as_str())
        .bind(found.rule_id.as_str())
        .bind(&value)
        .fetch_one(&mut *connection)
        .await
        .map_err(unavailable)?;
        let until: Option<i64> = row.try_get("until").map_err(unavailable)?;
        if let Some(until) = until {
            let rule = found.rule_id.clone();
            standing.set_cooldown(rule, found.cooldown_value.clone(), moment(until));
        }
        if row.try_get::<bool, _>("undelivered").map_err(unavailable)? {
            standing.set_undelivered(found.rule_id.clone(), found.cooldown_value.clone());
        }
    }
    Ok(())
}

async fn claim_cooldown(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    claim: &CooldownClaim,
    claimed_by: Uuid,
) -> Result<(), StorageError> {
    let Some(until) = claim.until else {
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO cooldowns (tenant, rule_id, value, claimed_by, until) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET claimed_by = excluded.claimed_by, until = excluded.until",
    )
    .bind(tenant.as_str())
    .bind(claim.rule_id.as_str())
    .bind(stored_value(&claim.value))
    .bind(claimed_by)
    .bind(micros(until))
    .execute(connection)
    .await
    .map_err(unavailable)?;
    Ok(())
}
