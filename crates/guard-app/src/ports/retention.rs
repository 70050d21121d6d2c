//! Letting go of what is old.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::StorageError;

/// What one step dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many of which: rows by the name of their table, days by the name of what is partitioned and `_days`.
    pub counts: BTreeMap<&'static str, u64>,
    /// The step reached its limit: there is more to drop at once.
    pub more: bool,
    /// Somebody uses what was to be dropped: it is to be tried again later.
    pub held_up: bool,
}

impl Dropped {
    /// Notes that so many were dropped.
    pub fn add(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            *self.counts.entry(what).or_default() += count;
        }
    }
}

/// How long events and what belongs to them are kept.
#[async_trait]
pub trait Retention: Send + Sync {
    /// Makes room for the days ahead, where days have to be prepared.
    async fn prepare_days(&self) -> Result<(), StorageError>;

    /// The beginning of the first day that stays if days stay for `kept` after their end, and everything that somebody still
    /// acts on.
    async fn floor(&self, kept: TimeDelta) -> Result<DateTime<Utc>, StorageError>;

    /// Drops a step of the days before `floor`: their events, audit records, executions with their
    /// attempts, escalations with their notifications, and links of the audit chain with their
    /// checkpoints. At most `limit` rows in one transaction.
    ///
    /// A day whose events somebody still acts on stays, and so does everything after it: an execution that has not ended
    /// has its event. Of each chain of the audit that goes on the last link before the first record that stays is kept: the
    /// chain is verified from there. (Idempotency keys live for a day, and are long forgotten.)
    async fn drop_old(&self, floor: DateTime<Utc>, limit: u32) -> Result<Dropped, StorageError>;
}
