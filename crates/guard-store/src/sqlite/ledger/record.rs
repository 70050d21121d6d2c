//! The rows of one decision.

use guard_app::ports::{Consequence, ExecutionBrief, Intake, Receipt, StorageError, random_tail};
use guard_domain::{Escalation, EscalationId, ExecutionId, ExecutionState, TenantId, id};
use guard_policy::{CooldownClaim, Effect, Verdict};
use sha2::{Digest, Sha256};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::Commit;
use super::windows::record_matches;
use crate::error::unavailable;
use crate::row::micros;
use crate::sqlite::audit::{Record, Subject};
use crate::sqlite::execution::insert_escalation;
use crate::sqlite::stored_value;

impl Commit<'_> {
    pub(super) async fn record(
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
        record_matches(connection, intake, &verdict.windows).await?;
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
        let tail = id::counted(self.audit.count(), random_tail(self.store.random.as_ref()));
        let id = ExecutionId::new(self.now, tail);
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
