//! Texts by what they hold.

use aho_corasick::AhoCorasick;

use rustc_hash::FxHashMap;

use super::EntryId;
use super::flips::FlipsBuilder;
use crate::matcher::predicate::Scalar;

/// An index of substrings.
#[derive(Debug)]
pub(super) struct Substrings {
    /// Finds all of them in one walk; `None` if there are none.
    automaton: Option<AhoCorasick>,
    entries: Vec<EntryId>,
    /// The entry of the empty text, which is in every text.
    empty: Option<EntryId>,
}

impl Substrings {
    pub(super) fn new(wanted: &FxHashMap<&Scalar, Vec<u32>>, flips: &mut FlipsBuilder) -> Self {
        let (mut needles, mut entries, mut empty) = (Vec::new(), Vec::new(), None);
        for (scalar, clauses) in wanted {
            let Scalar::String(needle) = scalar else {
                continue;
            };
            let entry = flips.entry(clauses.clone());
            if needle.is_empty() {
                empty = Some(entry);
            } else {
                needles.push(needle);
                entries.push(entry);
            }
        }
        Self {
            // It fails only for more states than 32 bits can number, which no rule file has room for.
            automaton: (!needles.is_empty())
                .then(|| AhoCorasick::new(needles).ok())
                .flatten(),
            entries,
            empty,
        }
    }

    /// The entries of the texts that stand in a text. One may come more than once.
    pub(super) fn find(&self, text: &str, hits: &mut Vec<EntryId>) {
        hits.extend(self.empty);
        let Some(automaton) = &self.automaton else {
            return;
        };
        for found in automaton.find_overlapping_iter(text) {
            let entry = self.entries.get(found.pattern().as_usize()).copied();
            if entry.is_some() && hits.last().copied() != entry {
                hits.extend(entry);
            }
        }
    }
}
