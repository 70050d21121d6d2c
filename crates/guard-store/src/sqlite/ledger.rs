//! Recording events and decisions.

mod record;
mod standing;
mod windows;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{CommitOutcome, CommitTerms, Intake, Ledger, Receipt, StorageError};
use guard_domain::{EventId, TenantId};
use guard_policy::{StandingState, decide};
use sqlx::{Row, SqliteConnection};
use tracing::instrument;
use uuid::Uuid;

use super::audit::AuditWriter;
use super::controls::read_control;
use super::receipt::{read_consequence, read_receipt};
use super::{SqliteStore, commit};
use crate::error::{is_data_error, unavailable};
use crate::row::micros;
use standing::load_standing;
use windows::load_matches;

/// How long an idempotency key is kept.
const KEY_LIFETIME: TimeDelta = TimeDelta::hours(24);

#[async_trait]
impl Ledger for SqliteStore {
    #[instrument(name = "db.event.commit", level = "debug", skip_all)]
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
                // Damage on our side is no fault of the event: its sender is to try again.
                (Err(error @ StorageError::Inconsistent { .. }), [_]) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "a row meets damage"
                    );
                    outcomes.push(CommitOutcome::Lost);
                }
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
                // What was committed before cannot be taken back: it has to be looked up.
                (Err(StorageError::Unavailable(error)), _) if !outcomes.is_empty() => {
                    return Err(StorageError::OutcomeUnknown(error));
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(outcomes)
    }

    #[instrument(name = "db.event.find_receipts", level = "debug", skip_all)]
    async fn find_receipts(
        &self,
        events: &[(TenantId, EventId)],
    ) -> Result<Vec<Option<Receipt>>, StorageError> {
        // The connection that writes sees what was written last.
        let mut connection = self.writer.acquire().await.map_err(unavailable)?;
        let mut receipts = Vec::with_capacity(events.len());
        for (tenant, event) in events {
            let mut receipt = read_receipt(&mut connection, tenant, *event).await?;
            if let Some(receipt) = &mut receipt {
                receipt.consequence = read_consequence(&mut connection, tenant, receipt).await?;
            }
            receipts.push(receipt);
        }
        Ok(receipts)
    }

    #[instrument(name = "db.housekeeping.forget_expired", level = "debug", skip_all)]
    async fn forget_expired(&self, limit: u32) -> Result<u64, StorageError> {
        let now = self.clock.now();
        let keys = "DELETE FROM event_keys WHERE (tenant, source, key) IN
             (SELECT tenant, source, key FROM event_keys WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)";
        let cooldowns = "DELETE FROM cooldowns WHERE (tenant, rule_id, value) IN
             (SELECT tenant, rule_id, value FROM cooldowns WHERE until < ?1 ORDER BY until LIMIT ?2)";
        let matches = "DELETE FROM windows WHERE (tenant, rule_id, value, at, event_id) IN
             (SELECT tenant, rule_id, value, at, event_id FROM windows WHERE until <= ?1 ORDER BY until LIMIT ?2)";
        let mut most = 0;
        for (statement, before) in [(keys, now - KEY_LIFETIME), (cooldowns, now), (matches, now)] {
            let deleted = sqlx::query(statement)
                .bind(micros(before))
                .bind(limit)
                .execute(&self.writer)
                .await
                .map_err(unavailable)?;
            most = most.max(deleted.rows_affected());
        }
        Ok(most)
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
        let tenant = match self.tenants.entry(intake.tenant.clone()) {
            Entry::Occupied(loaded) => loaded.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(load_tenant(connection, &intake.tenant).await?),
        };
        if tenant.live_revision != intake.rules.revision() {
            return Ok(CommitOutcome::Outdated);
        }
        load_standing(connection, intake, &mut tenant.standing).await?;
        load_matches(connection, intake, &mut tenant.standing).await?;
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
}

async fn load_tenant(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
) -> Result<TenantState, StorageError> {
    let control = read_control(connection, tenant).await?;
    Ok(TenantState {
        live_revision: control.live_revision,
        standing: StandingState::new(control.pauses.into_iter().collect()),
    })
}
