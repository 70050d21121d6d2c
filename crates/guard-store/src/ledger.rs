//! Recording events and decisions.
//!
//! A batch is read, decided in the order of its arrival, and written, with one statement for each kind of row or for several. On a database
//! that instances share, the transaction first locks what it decides about; see [`locks`].

mod asked;
mod assumed;
mod known;
mod locks;
mod record;
mod standing;
mod windows;

use async_trait::async_trait;
use chrono::TimeDelta;
use guard_app::ports::{CommitOutcome, CommitTerms, Intake, Ledger, Receipt, StorageError};
use guard_domain::{EventId, TenantId};
use tokio::sync::MutexGuard;
use tracing::instrument;

use crate::audit::Chain;
use crate::database::{Session, Sql};
use crate::error::{is_collision, is_data_error, lacks_partition};
use crate::planted_fault::{LATE, PlantedFault::AnswerBeforeCommit, is_planted};
use crate::receipt::{read_consequence, read_receipt};
use crate::row::micros;
use crate::store::Store;
use assumed::Assumed;
use known::Known;
use locks::Locks;
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
        let mut chains = self.every_chain().await;
        // What is not there after this was not recorded, and will not be.
        for chain in &mut chains {
            chain
                .settle(&mut session, self.clock.as_ref(), self.random.as_ref())
                .await?;
        }
        let mut receipts = Vec::with_capacity(events.len());
        for (tenant, event) in events {
            let mut receipt = read_receipt(&mut session, tenant, *event).await?;
            if let Some(receipt) = &mut receipt {
                receipt.consequence = read_consequence(&mut session, tenant, receipt).await?;
            }
            receipts.push(receipt);
        }
        session.commit().await?;
        for chain in &mut chains {
            chain.settled();
        }
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
            let assumed = self.assume(batch).await?;
            match self.try_part(batch, terms, &assumed).await {
                Ok(Some(outcomes)) => return Ok(outcomes),
                Ok(None) if collisions < COLLISIONS => {
                    self.assume_nothing(&assumed);
                    collisions += 1;
                }
                Ok(None) => return Ok(vec![CommitOutcome::Outdated; batch.len()]),
                Err(error) if is_collision(&error) && collisions < COLLISIONS => collisions += 1,
                Err(error) if lacks_partition(&error) && collisions < COLLISIONS => {
                    self.make_partitions().await?;
                    collisions = COLLISIONS;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Decides and commits; `None` if something was assumed that does not hold, and nothing was written.
    async fn try_part(
        &self,
        intakes: &[Intake],
        terms: &CommitTerms,
        assumed: &Assumed,
    ) -> Result<Option<Vec<CommitOutcome>>, StorageError> {
        let locks = Locks::of(intakes);
        let mut known = Known::assume(assumed);
        if locks.is_empty() {
            let mut batch = Batch::new(self, terms, self.clock.now(), intakes.len());
            let outcomes = known.decide_all(intakes, &mut batch);
            let session = if batch.has_no_effects() && !is_planted(AnswerBeforeCommit) {
                self.database.begin_commit().await?
            } else {
                self.database.begin_routine().await?
            };
            let chain = self.free_chain().await;
            return self.write(session, chain, &batch, assumed, outcomes).await;
        }
        let (mut session, chain) = self.begin_holding(&locks).await?;
        // Who waited for a lock decides by the time after it.
        let now = self.clock.now();
        known.read(&mut session, intakes, now).await?;
        let mut batch = Batch::new(self, terms, now, intakes.len());
        let outcomes = known.decide_all(intakes, &mut batch);
        self.write(session, chain, &batch, assumed, outcomes).await
    }

    /// Begins a transaction that has the locks, and the chain that it writes.
    async fn begin_holding(
        &self,
        locks: &Locks,
    ) -> Result<(Session, MutexGuard<'_, Chain>), StorageError> {
        let mut session = self.database.begin_commit().await?;
        // Whoever has the chain may wait for locks of the database, never the other way round.
        let chain = self.chain().await;
        match locks.take(&mut session).await {
            // Nobody had asked the connection, and nothing was done.
            Err(_) if session.was_cut() => drop((session, chain)),
            begun => return begun.map(|()| (session, chain)),
        }
        let mut session = self.database.begin_routine().await?;
        let chain = self.chain().await;
        locks.take(&mut session).await?;
        Ok((session, chain))
    }

    async fn write(
        &self,
        mut session: Session,
        mut chain: MutexGuard<'_, Chain>,
        batch: &Batch<'_>,
        assumed: &Assumed,
        outcomes: Vec<CommitOutcome>,
    ) -> Result<Option<Vec<CommitOutcome>>, StorageError> {
        if batch.is_empty() {
            return session.give_up(Some(outcomes)).await;
        }
        batch.write_besides(&mut session).await?;
        let place = self.next_place(&mut chain);
        let spans = self.unwritten(batch.sightings());
        let written = batch.write_record(&mut session, place, assumed, &spans);
        let written = match written.await {
            Ok(Some(head)) if is_planted(AnswerBeforeCommit) => {
                tokio::spawn(async { (tokio::time::sleep(LATE).await, session.commit().await) });
                Ok(Some(head))
            }
            Ok(Some(head)) => session.commit().await.map(|()| Some(head)),
            Ok(None) => session.give_up(None).await,
            Err(error) => Err(session.explain(error)),
        };
        match written {
            Ok(Some(head)) => {
                chain.advance(head);
                self.note_written(&spans);
            }
            Err(StorageError::OutcomeUnknown(_)) => {}
            Ok(None) | Err(_) => chain.stay(),
        }
        Ok(written?.map(|_| outcomes))
    }
}
