//! Signing the audit trail now and then.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use guard_audit::{Checkpoint, Head, Kept, SignedCheckpoint, SigningKey, heads_digest, hex};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::ports::{Checkpoints, Clock, Lease, Leases, Roots, StorageError, Witness};

/// The name of the lease.
const JOB: &str = "checkpoints";
/// How many intervals the job stays with an instance that gives no sign of life.
const LEASE: u32 = 6;
/// The shortest time that it stays so.
const SHORTEST_LEASE: Duration = Duration::from_secs(10);
/// How often it is tried again to be the next, while others are faster.
const TRIES: u32 = 5;

/// Signs the heads of all chains of the audit trail whenever they have changed, and keeps the signature in the database and
/// outside it.
pub struct Checkpointer {
    /// Who does it.
    pub leases: Arc<dyn Leases>,
    /// What is signed.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// Where signatures are kept besides.
    pub witness: Arc<dyn Witness>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What signs.
    pub key: SigningKey,
    /// This instance.
    pub instance: String,
    /// From one checkpoint to the next.
    pub every: Duration,
    /// What the last checkpoint stands for, if this instance wrote it.
    pub last: Mutex<Option<Last>>,
}

/// The last checkpoint, and what it stands for.
#[derive(Debug, Clone)]
pub struct Last {
    number: u64,
    signed: SignedCheckpoint,
    heads: Vec<Head>,
}

impl Checkpointer {
    /// Signs whenever no other instance does, until `stop` is cancelled, and then once more.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut lease = None;
        loop {
            let stopping = stop.is_cancelled();
            if let Err(error) = self.round(&mut lease).await {
                // Whoever has the job next begins with a look at what there is.
                *self.last.lock().await = None;
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the audit trail is signed later"
                );
            }
            if stopping {
                break;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.every) => {}
            }
        }
        let Some(lease) = lease else {
            return;
        };
        if let Err(error) = self.leases.release(&lease).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the others sign the audit trail only when the lease has ended"
            );
        }
    }

    async fn round(&self, lease: &mut Option<Lease>) -> Result<(), StorageError> {
        let lasts = (self.every * LEASE).max(SHORTEST_LEASE);
        let is_mine = match lease {
            Some(held) => self.leases.renew(held, lasts).await?,
            None => false,
        };
        if !is_mine {
            *lease = self.leases.try_acquire(JOB, &self.instance, lasts).await?;
        }
        if lease.is_none() {
            return Ok(());
        }
        let mut last = self.last.lock().await;
        if !is_mine {
            *last = None;
        }
        for _ in 0..TRIES {
            let heads = self.checkpoints.heads().await?;
            if last.is_none() {
                *last = self.recall(&heads).await?;
            }
            let changed = match last.as_ref() {
                Some(last) => last.heads != heads,
                None => !heads.is_empty(),
            };
            if !changed || self.sign(&mut last, heads, None).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The last checkpoint, if it stands for exactly these heads.
    async fn recall(&self, heads: &[Head]) -> Result<Option<Last>, StorageError> {
        let last = self.checkpoints.last_checkpoint().await?;
        let digest = heads_digest(heads);
        Ok(last
            .filter(|(_, signed)| signed.read().is_ok_and(|read| read.digest == digest))
            .map(|(number, signed)| Last {
                number,
                signed,
                heads: heads.to_vec(),
            }))
    }

    /// Signs heads as the next checkpoint. `false`: somebody else wrote that one.
    async fn sign(
        &self,
        last: &mut Option<Last>,
        heads: Vec<Head>,
        retention: Option<Kept>,
    ) -> Result<bool, StorageError> {
        let before = match last.as_ref() {
            Some(last) => Some((last.number, last.signed.hash())),
            None => {
                let stored = self.checkpoints.last_checkpoint().await?;
                stored.map(|(number, signed)| (number, signed.hash()))
            }
        };
        let mut checkpoint = Checkpoint::after(before, self.clock.now().timestamp_micros());
        checkpoint.digest = heads_digest(&heads);
        let known = last.as_ref().map(|last| last.heads.as_slice());
        // Who does not know what the last one stands for says everything.
        let grown = known
            .filter(|_| retention.is_none())
            .and_then(|known| grown(known, &heads));
        checkpoint.full = grown.is_none();
        checkpoint.heads = grown.unwrap_or_else(|| heads.clone());
        checkpoint.retention = retention.map(|mut kept| {
            if kept.first_checkpoint == 0 {
                kept.first_checkpoint = checkpoint.number;
            }
            kept
        });
        let signed = checkpoint.clone().sign(&self.key);
        if !self
            .checkpoints
            .append_checkpoint(&checkpoint, &signed)
            .await?
        {
            *last = None;
            return Ok(false);
        }
        tracing::info!(
            checkpoint = checkpoint.number,
            chains = heads.len(),
            hash = hex(&signed.hash()),
            signature = signed.signature,
            "the audit trail was signed"
        );
        if let Err(error) = self.witness.keep(&signed) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a checkpoint is in the database alone"
            );
        }
        let number = checkpoint.number;
        *last = Some(Last {
            number,
            signed,
            heads,
        });
        Ok(true)
    }
}

/// The heads that have changed; `None` if one is not there any more.
fn grown(known: &[Head], heads: &[Head]) -> Option<Vec<Head>> {
    let mut rest = known.iter().peekable();
    let mut grown = Vec::new();
    for head in heads {
        match rest.next_if(|known| known.chain == head.chain) {
            Some(known) if known == head => {}
            _ => grown.push(*head),
        }
    }
    rest.peek().is_none().then_some(grown)
}

#[async_trait]
impl Roots for Checkpointer {
    async fn sign_roots(&self, floor: DateTime<Utc>) -> Result<(), StorageError> {
        let mut last = self.last.lock().await;
        for _ in 0..TRIES {
            let Some(old) = self.checkpoints.old_links(floor).await? else {
                return Ok(());
            };
            let heads = self.checkpoints.heads().await?;
            let kept = Kept {
                floor: floor.timestamp_micros(),
                first_checkpoint: old.first_checkpoint.unwrap_or_default(),
                roots: old.roots,
            };
            *last = None;
            if self.sign(&mut last, heads, Some(kept)).await? {
                return Ok(());
            }
        }
        Err(StorageError::Unavailable(
            "others wrote every checkpoint that was to be written".into(),
        ))
    }
}
