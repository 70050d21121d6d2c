//! What has to be done now and then, by one instance at a time.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metric;
use crate::ports::{Dropped, Lease, Leases, Ledger, Retention, Roots, StorageError};

/// The name of the lease.
const JOB: &str = "housekeeping";
/// How long the job stays with an instance that gives no sign of life, and how often it gives one.
const LEASE: Duration = Duration::from_secs(180);
/// From one round to the next.
const ROUND: Duration = Duration::from_secs(60);
/// How many rounds it takes until days are prepared and dropped again.
const DAYS_EVERY: u32 = 60;
/// How many rows at most one transaction deletes: intakes wait for it.
const ROWS_AT_ONCE: u32 = 1000;
/// How much longer than a step took its successor waits, so that intakes have the database most of the time.
const REST: u32 = 3;

/// Forgets what has no effect any more, prepares the days ahead, and drops what is older than it is kept.
pub struct Housekeeper {
    /// Who does it.
    pub leases: Arc<dyn Leases>,
    /// Idempotency keys, cooldowns and matches.
    pub ledger: Arc<dyn Ledger>,
    /// Events and what belongs to them.
    pub retention: Arc<dyn Retention>,
    /// Signs from where on the audit trail is verified.
    pub roots: Arc<dyn Roots>,
    /// This instance.
    pub instance: String,
    /// How long events are kept.
    pub kept: TimeDelta,
}

/// The job, while this instance has it.
struct Tenure {
    lease: Lease,
    renewed: Instant,
    rounds: u32,
}

impl Housekeeper {
    /// Keeps house whenever no other instance does, until `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        let mut tenure = None;
        while !stop.is_cancelled() {
            // What is begun is ended, or broken off between two steps.
            if let Err(error) = self.round(&mut tenure, &stop).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "housekeeping is put off"
                );
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(ROUND) => {}
            }
        }
        let Some(Tenure { lease, .. }) = tenure else {
            return;
        };
        if let Err(error) = self.leases.release(&lease).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the others keep house only when the lease has ended"
            );
        }
    }

    async fn round(
        &self,
        tenure: &mut Option<Tenure>,
        stop: &CancellationToken,
    ) -> Result<(), StorageError> {
        if !self.is_mine(tenure).await? {
            let lease = self.leases.try_acquire(JOB, &self.instance, LEASE).await?;
            *tenure = lease.map(|lease| Tenure {
                lease,
                renewed: Instant::now(),
                rounds: 0,
            });
        }
        let Some(held) = tenure else {
            return Ok(());
        };
        let rounds = held.rounds;
        held.rounds = (rounds + 1) % DAYS_EVERY;
        while self.ledger.forget_expired(ROWS_AT_ONCE).await? >= u64::from(ROWS_AT_ONCE) {
            if stop.is_cancelled() || !self.is_mine(tenure).await? {
                return Ok(());
            }
        }
        if rounds == 0 {
            self.retention.prepare_days().await?;
            let all = self.drop_old(tenure, stop).await?;
            // What is held up is tried again in the next round.
            if let Some(held) = tenure.as_mut().filter(|_| !all) {
                held.rounds = 0;
            }
        }
        Ok(())
    }

    /// Whether the job is still with this instance, which says so now and then.
    async fn is_mine(&self, tenure: &mut Option<Tenure>) -> Result<bool, StorageError> {
        let Some(held) = tenure else {
            return Ok(false);
        };
        if held.renewed.elapsed() < ROUND / 2 {
            return Ok(true);
        }
        let asked = Instant::now();
        if self.leases.renew(&held.lease, LEASE).await? {
            held.renewed = asked;
            return Ok(true);
        }
        *tenure = None;
        Ok(false)
    }

    /// Drops what is old, step by step; whether nothing old is left.
    async fn drop_old(
        &self,
        tenure: &mut Option<Tenure>,
        stop: &CancellationToken,
    ) -> Result<bool, StorageError> {
        let floor = self.retention.floor(self.kept).await?;
        // What is gone before that is signed would be missing.
        self.roots.sign_roots(floor).await?;
        let mut all = Dropped::default();
        loop {
            let begun = Instant::now();
            let step = self.retention.drop_old(floor, ROWS_AT_ONCE).await;
            let more = matches!(&step, Ok(step) if step.more);
            if let Ok(step) = &step {
                for (what, count) in &step.counts {
                    all.add(what, *count);
                    metric::add(metric::RETENTION_DROPPED, "what", what, *count);
                }
                all.held_up |= step.held_up;
            }
            let goes_on = more && !stop.is_cancelled() && self.is_mine(tenure).await?;
            if goes_on {
                tokio::time::sleep(begun.elapsed() * REST).await;
                continue;
            }
            if !all.counts.is_empty() {
                tracing::info!(dropped = ?all.counts, held_up = all.held_up, "what is older than `retention` was dropped");
            }
            return step.map(|_| !more && !all.held_up);
        }
    }
}
