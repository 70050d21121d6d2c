//! Checkpoints that were kept elsewhere.

use super::Verifier;
use crate::checkpoint::SignedCheckpoint;
use crate::finding::{Finding, FindingKind};

impl Verifier {
    /// Compares a checkpoint that was kept elsewhere, once everything has been read. The trail has to have it, unless it is older
    /// than the first that is there or younger than the trail claims to be complete.
    pub fn witness(&mut self, signed: &SignedCheckpoint) {
        let Some(checkpoint) = self.read(signed) else {
            return;
        };
        let number = checkpoint.number;
        if self.checkpoints.first.is_some_and(|first| number < first) {
            return;
        }
        match self.checkpoint_hash(number) {
            Some(hash) if hash == signed.hash() => {}
            Some(_) => {
                let sentence = "the checkpoint is another one than was kept elsewhere";
                self.find(
                    Finding::new(FindingKind::ChangedCheckpoint, sentence).checkpoint(number),
                );
            }
            None if self
                .head
                .as_ref()
                .is_some_and(|head| checkpoint.time > head.complete_until) => {}
            None => {
                let sentence =
                    "the checkpoint was kept elsewhere and is not there: the end was cut off";
                self.find(
                    Finding::new(FindingKind::RemovedCheckpoint, sentence).checkpoint(number),
                );
                for head in &checkpoint.heads {
                    self.stands_for(head, number);
                }
            }
        }
    }
}
