//! Texts by how they begin, or how they end.

use rustc_hash::FxHashMap;

use super::EntryId;
use super::flips::FlipsBuilder;
use crate::engine::text_table::TextTable;

/// An index of prefixes or of suffixes. The entry of each holds those of all shorter ones that it includes, so that the
/// longest one found is the whole answer.
#[derive(Debug)]
pub(super) struct Affixes {
    entries: TextTable,
    /// Their lengths in bytes, the longest first.
    lengths: Vec<usize>,
}

impl Affixes {
    pub(super) fn new(
        wanted: &FxHashMap<&str, Vec<u32>>,
        at_end: bool,
        flips: &mut FlipsBuilder,
    ) -> Self {
        let mut lengths: Vec<_> = wanted.keys().map(|text| text.len()).collect();
        lengths.sort_unstable_by_key(|length| std::cmp::Reverse(*length));
        lengths.dedup();
        let mut entries = Vec::new();
        for text in wanted.keys() {
            let included = lengths.iter().filter_map(|length| {
                if at_end {
                    text.get(text.len().checked_sub(*length)?..)
                } else {
                    text.get(..*length)
                }
            });
            let clauses = included.filter_map(|shorter| wanted.get(shorter)).flatten();
            let entry = flips.entry(clauses.copied().collect());
            entries.push((*text, entry));
        }
        Self {
            entries: TextTable::new(entries),
            lengths,
        }
    }

    /// The entry of the longest prefix of a text.
    #[inline]
    pub(super) fn find_prefix(&self, text: &str) -> Option<EntryId> {
        let text = text.as_bytes();
        let prefixes = self.lengths.iter().filter_map(|length| text.get(..*length));
        self.first(prefixes)
    }

    /// The entry of the longest suffix of a text.
    #[inline]
    pub(super) fn find_suffix(&self, text: &str) -> Option<EntryId> {
        let text = text.as_bytes();
        let suffixes = self
            .lengths
            .iter()
            .filter_map(|length| text.get(text.len().checked_sub(*length)?..));
        self.first(suffixes)
    }

    fn first<'a>(&self, mut affixes: impl Iterator<Item = &'a [u8]>) -> Option<EntryId> {
        affixes.find_map(|affix| self.entries.get(affix))
    }
}
