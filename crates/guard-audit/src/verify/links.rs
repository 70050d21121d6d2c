//! Links: each follows from the one before.

use super::{ChainState, Verifier};
use crate::export::Link;
use crate::finding::{Finding, FindingKind};
use crate::hash::GENESIS;

impl Verifier {
    pub(super) fn link(&mut self, link: &Link) {
        self.verified.links += 1;
        let (first, last) = self.span.unwrap_or((link.created_at, link.created_at));
        self.span = Some((first.min(link.created_at), last.max(link.created_at)));
        let root = self.roots.get(&link.chain);
        if root.is_some_and(|root| link.link <= root.link) {
            // Its records may be gone already.
            return;
        }
        let (before, hash) = match (self.chains.get(&link.chain), root) {
            (Some(chain), _) => (chain.link, chain.hash),
            (None, Some(root)) => (root.link, root.hash),
            (None, None) => (0, GENESIS),
        };
        let found = if link.link <= before {
            let sentence =
                format!("the link comes after link {before}: it is there twice, or out of place");
            Some(Finding::new(FindingKind::InsertedLink, sentence).at(link.chain, link.link))
        } else if link.link > before + 1 {
            let sentence = match link.link - 1 {
                last if last == before + 1 => format!("link {last} is missing"),
                last => format!("links {} to {last} are missing", before + 1),
            };
            Some(Finding::new(FindingKind::RemovedLink, sentence).at(link.chain, before + 1))
        } else if link.previous != hash {
            let sentence = format!(
                "the link does not follow from link {before}: that one was changed, or this one is another's"
            );
            Some(Finding::new(FindingKind::ChangedLink, sentence).at(link.chain, link.link))
        } else {
            None
        };
        if let Some(finding) = found {
            self.find(finding);
        }
        self.records(link);
        if link.link <= before {
            return;
        }
        let signed = self.roots.get(&link.chain).map_or(0, |root| root.link);
        let chain = self.chains.entry(link.chain).or_insert(ChainState {
            link: 0,
            hash: GENESIS,
            signed,
            unsigned: None,
            diverged: false,
        });
        (chain.link, chain.hash) = (link.link, link.hash);
        let (first, earliest) = chain.unsigned.unwrap_or((link.link, link.created_at));
        chain.unsigned = Some((first, earliest.min(link.created_at)));
    }
}
