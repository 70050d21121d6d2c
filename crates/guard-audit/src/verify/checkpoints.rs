//! Checkpoints: what they stand for is there, as it was.

use super::{ChainState, SLOW_COMMIT, Verifier};
use crate::checkpoint::{Checkpoint, Head, SignedCheckpoint, heads_digest};
use crate::finding::{Finding, FindingKind};
use crate::hash::{GENESIS, Hash};

impl Verifier {
    /// What retention has let go of is believed if it is signed.
    pub(super) fn root(&mut self, signed: &SignedCheckpoint) {
        let Some(checkpoint) = self.read(signed) else {
            return;
        };
        if let Some(kept) = checkpoint.retention {
            self.roots = kept.roots.iter().map(|root| (root.chain, *root)).collect();
            self.kept = Some(kept);
        }
    }

    pub(super) fn checkpoint(&mut self, signed: &SignedCheckpoint) {
        self.verified.checkpoints += 1;
        let Some(checkpoint) = self.read(signed) else {
            return;
        };
        if !self.follows(&checkpoint) {
            return;
        }
        self.covers(&checkpoint);
        self.verified.last_checkpoint = Some((checkpoint.number, checkpoint.time));
        let known = &mut self.checkpoints;
        let first = *known.first.get_or_insert(checkpoint.number);
        let place = checkpoint.number.saturating_sub(first);
        // Numbers are signed, so that no forger makes this long.
        known
            .hashes
            .resize(usize::try_from(place).unwrap_or_default(), None);
        known.hashes.push(Some(signed.hash()));
        known.last = Some(checkpoint);
    }

    /// What a checkpoint says, if it is signed.
    pub(super) fn read(&mut self, signed: &SignedCheckpoint) -> Option<Checkpoint> {
        let read = signed.read();
        if signed.is_signed_by(&self.keys)
            && let Ok(checkpoint) = read
        {
            return Some(checkpoint);
        }
        let finding = match read {
            Ok(Checkpoint { number, key, .. }) => {
                let sentence = match self.keys.iter().any(|known| known.id() == key) {
                    true => "the signature is not that of the checkpoint: it was changed, or signed by somebody else".to_owned(),
                    false => format!("the checkpoint names the key {key}, which is not among the known ones"),
                };
                Finding::new(FindingKind::Signature, sentence).checkpoint(number)
            }
            Err(error) => Finding::new(
                FindingKind::Signature,
                format!("this is no checkpoint: {error}"),
            ),
        };
        self.find(finding);
        None
    }

    /// Whether it comes after the one before; finds what is missing between.
    fn follows(&mut self, checkpoint: &Checkpoint) -> bool {
        let number = checkpoint.number;
        let last = self.checkpoints.last.as_ref().map(|last| last.number);
        // Without one before, those are gone that retention says are gone.
        let first = self.kept.as_ref().map_or(1, |kept| kept.first_checkpoint);
        let expected = last.map_or(first, |last| last + 1);
        let missing = number > expected;
        let before = self.checkpoints.hashes.last().copied().flatten();
        let finding = if missing {
            let sentence = match number - 1 {
                last if last == expected => format!("checkpoint {last} is missing"),
                last => format!("checkpoints {expected} to {last} are missing"),
            };
            Some(Finding::new(FindingKind::RemovedCheckpoint, sentence).checkpoint(expected))
        } else if last.is_some_and(|last| number <= last) {
            let sentence = "the checkpoint is there twice, or out of order";
            Some(Finding::new(FindingKind::ChangedCheckpoint, sentence).checkpoint(number))
        } else if (last.is_some() && before != Some(checkpoint.previous))
            || (number == 1 && checkpoint.previous != GENESIS)
        {
            let sentence = "the checkpoint does not follow from the one before";
            Some(Finding::new(FindingKind::ChangedCheckpoint, sentence).checkpoint(number))
        } else {
            None
        };
        self.checkpoints.complete &= !missing;
        if let Some(finding) = finding {
            self.find(finding);
        }
        last.is_none_or(|last| number > last)
    }

    /// Whether what it stands for is there.
    fn covers(&mut self, checkpoint: &Checkpoint) {
        let before = self.checkpoints.last.as_ref().map(|last| last.time);
        for head in &checkpoint.heads {
            self.stands_for(head, checkpoint.number);
            let Some(chain) = self.chains.get_mut(&head.chain) else {
                continue;
            };
            let Some((first, at)) = chain.unsigned.take_if(|_| chain.link <= head.link) else {
                continue;
            };
            if let Some(before) = before.filter(|before| at < before - SLOW_COMMIT) {
                let finding = Self::backdated(head.chain, first, before);
                self.find(finding.checkpoint(checkpoint.number));
            }
        }
        let known = &mut self.checkpoints;
        if checkpoint.full {
            known.heads.clear();
        }
        known.complete |= checkpoint.full || checkpoint.number == 1;
        known
            .heads
            .extend(checkpoint.heads.iter().map(|head| (head.chain, *head)));
        if known.complete && heads_digest(known.heads.values()) != checkpoint.digest {
            known.complete = false;
            let sentence =
                "the digest of all heads is not that of the heads that the checkpoints name";
            self.find(
                Finding::new(FindingKind::ChangedCheckpoint, sentence)
                    .checkpoint(checkpoint.number),
            );
        }
    }

    fn backdated(chain: uuid::Uuid, link: u64, before: i64) -> Finding {
        let sentence = format!(
            "the link claims to be older than a checkpoint of {before} µs that did not know of it: it was put in afterwards, or the clock was set back"
        );
        Finding::new(FindingKind::Backdated, sentence).at(chain, link)
    }

    /// Whether the head of a chain that a checkpoint names is there.
    pub(super) fn stands_for(&mut self, head: &Head, number: u64) {
        let (chain, link) = (head.chain, head.link);
        let root = self.roots.get(&chain).map(|root| (root.link, root.hash));
        let known = self
            .chains
            .get(&chain)
            .map(|known| (known.link, known.hash))
            .or(root);
        let is_gone = |kept: &crate::Kept| head.at < kept.floor;
        let finding = match known {
            Some((there, hash)) if there == link && hash != head.hash => {
                let from = self.chains.get(&chain).map_or(1, |known| known.signed + 1);
                let sentence = format!(
                    "links {from} to {link} are not those that were signed: one was changed and every hash after it computed again"
                );
                Some(Finding::new(FindingKind::Recomputed, sentence).at(chain, from))
            }
            Some((there, _)) if there < link => {
                let sentence = format!(
                    "the chain ends with link {there}, and had reached link {link} when the checkpoint was signed"
                );
                Some(Finding::new(FindingKind::CutTail, sentence).at(chain, there + 1))
            }
            // Retention has let go of it, or other lines came before the checkpoint than stand before it.
            Some(_) => None,
            None if self.kept.as_ref().is_some_and(is_gone) => None,
            None => {
                let sentence = format!(
                    "the chain is not there, and had reached link {link} when the checkpoint was signed"
                );
                Some(Finding::new(FindingKind::RemovedChain, sentence).at(chain, 1))
            }
        };
        let first_time = match self.chains.get_mut(&chain) {
            Some(known) if finding.is_none() => {
                known.signed = known.signed.max(link);
                false
            }
            // What diverges goes on to do so.
            Some(known) => !std::mem::replace(&mut known.diverged, true),
            None if finding.is_some() => {
                let (link, hash) = root.unwrap_or((0, GENESIS));
                self.chains.insert(chain, ChainState::missing(link, hash));
                true
            }
            None => false,
        };
        if let Some(finding) = finding.filter(|_| first_time) {
            self.find(finding.checkpoint(number));
        }
    }

    /// What is left over when all has been read.
    pub(super) fn end_of_checkpoints(&mut self) {
        let Some(last) = self.checkpoints.last.as_ref().map(|last| last.time) else {
            if let Some((first, last)) =
                self.span.filter(|(first, last)| last - first > SLOW_COMMIT)
            {
                let sentence = format!(
                    "there is no checkpoint that is signed by a known key, and links from {first} µs to {last} µs"
                );
                self.find(Finding::new(FindingKind::Unsigned, sentence));
            }
            return;
        };
        let mut late: Vec<_> = self
            .chains
            .iter()
            .filter_map(|(chain, known)| known.unsigned.map(|(first, at)| (*chain, first, at)))
            .filter(|(_, _, at)| *at < last - SLOW_COMMIT)
            .collect();
        late.sort_unstable();
        for (chain, first, _) in late {
            self.find(Self::backdated(chain, first, last));
        }
    }

    /// The hash of a checkpoint that was there.
    pub(super) fn checkpoint_hash(&self, number: u64) -> Option<Hash> {
        let place = number.checked_sub(self.checkpoints.first?)?;
        let known = self.checkpoints.hashes.get(usize::try_from(place).ok()?)?;
        *known
    }
}
