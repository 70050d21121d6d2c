//! Recording events and decisions.
//!
//! A batch is read, decided in the order of its arrival, and written, with one statement for each kind of row. On a database
//! that instances share, the transaction first locks what it decides about; see [`locks`].

mod asked;
mod known;
mod locks;
mod record;
mod standing;
mod windows;

use async_trait::async_trait;
use chrono::TimeDelta;
use guard_app::ports::{CommitOutcome, CommitTerms, Intake, Ledger, Receipt, StorageError};
use guard_domain::{EventId, TenantId};
use tracing::instrument;

use crate::database::Sql;
use crate::error::{is_collision, is_data_error, lacks_partition};
use crate::planted_fault::{LATE, PlantedFault::AnswerBeforeCommit, is_planted};
use crate::receipt::{read_consequence, read_receipt};
use crate::row::micros;
use crate::store::Store;
use known::Known;
use record::Batch;

/// How long an idempotency key is kept.
const KEY_LIFETIME: TimeDelta = TimeDelta::hours(24);
/// How often a batch that collided with another instance is tried again.
const COLLISIONS: usize = 3;

#[async_trait]
impl Ledger for Store {
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
        let mut session = self.database.begin().await?;
        // A commit that is still under way is waited for: what is not there then was not recorded.
        locks::lock_process(&mut session, self.process).await?;
        let mut receipts = Vec::with_capacity(events.len());
        for (tenant, event) in events {
            let mut receipt = read_receipt(&mut session, tenant, *event).await?;
            if let Some(receipt) = &mut receipt {
                receipt.consequence = read_consequence(&mut session, tenant, receipt).await?;
            }
            receipts.push(receipt);
        }
        session.roll_back().await?;
        Ok(receipts)
    }

    #[instrument(name = "db.housekeeping.forget_expired", level = "debug", skip_all)]
    async fn forget_expired(&self, limit: u32) -> Result<u64, StorageError> {
        /// Deletes the rows of a table whose time has passed. What a commit works with is left alone.
        macro_rules! forget {
            ($table:literal, $key:literal, $due:literal) => {
                Sql {
                    sqlite: forget!($table, $key, $due, ""),
                    postgres: forget!($table, $key, $due, " FOR UPDATE SKIP LOCKED"),
                }
            };
            ($table:literal, $key:literal, $due:literal, $lock:literal) => {
                concat!(
                    "DELETE FROM ",
                    $table,
                    " WHERE (",
                    $key,
                    ") IN
                         (SELECT ",
                    $key,
                    " FROM ",
                    $table,
                    " WHERE ",
                    $due,
                    " LIMIT $2",
                    $lock,
                    ")"
                )
            };
        }
        let now = self.clock.now();
        let keys = forget!(
            "event_keys",
            "tenant, source, key",
            "created_at < $1 ORDER BY created_at"
        );
        let cooldowns = forget!(
            "cooldowns",
            "tenant, rule_id, value",
            "until < $1 ORDER BY until"
        );
        let matches = forget!(
            "windows",
            "tenant, rule_id, value, at, event_id",
            "until <= $1 ORDER BY until"
        );
        let mut most = 0;
        for (statement, before) in [(keys, now - KEY_LIFETIME), (cooldowns, now), (matches, now)] {
            let mut session = self.database.begin().await?;
            let query = session.query(statement).bind(micros(before));
            most = most.max(query.bind(i64::from(limit)).execute().await?);
            session.commit().await?;
        }
        Ok(most)
    }
}

impl Store {
    async fn commit_part(
        &self,
        batch: &[Intake],
        terms: &CommitTerms,
    ) -> Result<Vec<CommitOutcome>, StorageError> {
        let mut collisions = 0;
        loop {
            match self.try_part(batch, terms).await {
                Err(error) if is_collision(&error) && collisions < COLLISIONS => collisions += 1,
                Err(error) if lacks_partition(&error) && collisions < COLLISIONS => {
                    self.make_partitions().await?;
                    collisions = COLLISIONS;
                }
                done => return done,
            }
        }
    }

    async fn try_part(
        &self,
        intakes: &[Intake],
        terms: &CommitTerms,
    ) -> Result<Vec<CommitOutcome>, StorageError> {
        let mut transaction = self.database.begin().await?;
        let mut chain = self.chain.lock().await;
        locks::lock_batch(&mut transaction, self.process, intakes).await?;
        // Who waited for a lock decides by the time after it.
        let now = self.clock.now();
        let audit = self.audit(&mut chain, now);
        let mut known = Known::read(&mut transaction, intakes, now).await?;
        let mut batch = Batch::new(self, terms, now, audit);
        let outcomes = intakes
            .iter()
            .map(|intake| known.decide(intake, &mut batch))
            .collect();
        if batch.is_empty() {
            transaction.roll_back().await?;
            return Ok(outcomes);
        }
        batch.write(&mut transaction).await?;
        let head = self
            .seal(&mut transaction, &mut chain, batch.into_audit())
            .await?;
        if is_planted(AnswerBeforeCommit) {
            tokio::spawn(async { (tokio::time::sleep(LATE).await, transaction.commit().await) });
        } else {
            transaction.commit().await?;
        }
        chain.advance(head);
        Ok(outcomes)
    }
}
