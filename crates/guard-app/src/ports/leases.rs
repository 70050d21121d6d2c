//! Jobs that one instance does at a time.

use std::time::Duration;

use async_trait::async_trait;

use super::StorageError;

/// A job that an instance holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub name: String,
    /// The instance.
    pub owner: String,
    /// Higher than that of every lease of the job before.
    pub epoch: u64,
}

/// Who does which job. A lease that is neither renewed nor released ends by itself, so that a job outlives its instance.
///
/// A holder that was held up may go on after its lease has ended: what is done under a lease has to be harmless if two do
/// it.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes a job for so long, unless somebody has it: this owner itself, too.
    async fn try_acquire(
        &self,
        name: &str,
        owner: &str,
        lasts: Duration,
    ) -> Result<Option<Lease>, StorageError>;

    /// Holds a job for so long from now. `false`: it was released, or somebody else has taken it over.
    async fn renew(&self, lease: &Lease, lasts: Duration) -> Result<bool, StorageError>;

    /// Gives a job back, so that others need not wait. `false`: it was not held any more.
    async fn release(&self, lease: &Lease) -> Result<bool, StorageError>;
}
