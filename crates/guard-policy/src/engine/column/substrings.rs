//! Texts by what they hold.

use aho_corasick::AhoCorasick;

use super::EntryId;

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
    pub(super) fn new<'a>(texts: impl Iterator<Item = (&'a str, EntryId)>) -> Self {
        let (empty, texts): (Vec<_>, Vec<_>) = texts.partition(|(text, _)| text.is_empty());
        let needles = texts.iter().map(|(text, _)| text);
        Self {
            // It fails only for more states than 32 bits can number, which no rule file has room for.
            automaton: (!texts.is_empty())
                .then(|| AhoCorasick::new(needles).ok())
                .flatten(),
            entries: texts.iter().map(|(_, entry)| *entry).collect(),
            empty: empty.first().map(|(_, entry)| *entry),
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
