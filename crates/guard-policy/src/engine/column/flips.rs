//! What a value does to the clauses of a column.
//!
//! Without any value the column has a bitmap, the *rest*: the clauses that do not look at the field, and those whose tests
//! must not hold. A value flips some of it: clauses whose test must hold come in, those whose test must not go out. An
//! entry is such a change, kept as a bitmap and the bits that still differ from it, whichever way that is smallest.

use std::ops::Range;

use crate::engine::bitmap;
use crate::engine::check::Term;

/// The number of an entry.
pub(in crate::engine) type EntryId = u32;

#[derive(Debug)]
struct Entry {
    /// The bitmap it starts from, by its first word.
    base: usize,
    /// The bits that differ from it, ascending, in `toggles`.
    toggles: Range<u32>,
}

/// The entries of a column.
#[derive(Debug)]
pub(super) struct Flips {
    words: usize,
    /// Bitmaps one after the other; the rest is the first.
    bitmaps: Vec<u64>,
    entries: Vec<Entry>,
    toggles: Vec<u32>,
}

impl Flips {
    /// The entry that changes nothing.
    const REST: EntryId = 0;

    pub(super) fn rest(&self) -> &[u64] {
        self.bitmaps.get(..self.words).unwrap_or_default()
    }

    fn parts(&self, entry: EntryId) -> (&[u64], &[u32]) {
        let Some(entry) = self.entries.get(entry as usize) else {
            return (self.rest(), &[]);
        };
        let base = self.bitmaps.get(entry.base..entry.base + self.words);
        let toggles = entry.toggles.start as usize..entry.toggles.end as usize;
        (
            base.unwrap_or_default(),
            self.toggles.get(toggles).unwrap_or_default(),
        )
    }

    /// Keeps of the candidates what the entry leaves; `kept` is room to work in.
    pub(super) fn intersect(&self, entry: EntryId, candidates: &mut [u64], kept: &mut Vec<u32>) {
        let (base, toggles) = self.parts(entry);
        kept.clear();
        for bit in toggles {
            if bitmap::contains(candidates, *bit) {
                if bitmap::contains(base, *bit) {
                    bitmap::toggle(candidates, *bit);
                } else {
                    kept.push(*bit);
                }
            }
        }
        bitmap::intersect(candidates, base);
        for bit in kept.iter() {
            bitmap::insert(candidates, *bit);
        }
    }

    /// One word of what the entry leaves.
    fn word(&self, entry: EntryId, word: usize) -> u64 {
        let (base, toggles) = self.parts(entry);
        let mut bits = base.get(word).copied().unwrap_or(0);
        let first = toggles.partition_point(|bit| bitmap::place(*bit).0 < word);
        for bit in toggles.get(first..).unwrap_or_default() {
            let (at, mask) = bitmap::place(*bit);
            if at != word {
                break;
            }
            bits ^= mask;
        }
        bits
    }

    /// All bits that one of the entries flips.
    pub(super) fn union(&self, entries: &[EntryId], into: &mut Vec<u64>) {
        into.clear();
        into.resize(self.words, 0);
        for entry in entries {
            let (base, toggles) = self.parts(*entry);
            // What is flipped is what differs from the rest.
            if std::ptr::eq(base, self.rest()) {
                toggles.iter().for_each(|bit| bitmap::insert(into, *bit));
                continue;
            }
            for ((into, rest), word) in into.iter_mut().zip(self.rest()).zip(0..) {
                *into |= self.word(*entry, word) ^ rest;
            }
        }
    }

    /// Keeps of the candidates what the rest leaves with these bits flipped.
    pub(super) fn intersect_flipped(&self, flips: &[u64], candidates: &mut [u64]) {
        for ((word, rest), flips) in candidates.iter_mut().zip(self.rest()).zip(flips) {
            *word &= rest ^ flips;
        }
    }

    /// Adds the clauses that the entry brings in.
    pub(super) fn admit(&self, entry: EntryId, candidates: &mut [u64]) {
        let (base, toggles) = self.parts(entry);
        if std::ptr::eq(base, self.rest()) {
            toggles
                .iter()
                .for_each(|bit| bitmap::insert(candidates, *bit));
            return;
        }
        for ((into, rest), word) in candidates.iter_mut().zip(self.rest()).zip(0..) {
            *into |= self.word(entry, word) & !rest;
        }
    }
}

/// Makes entries.
pub(super) struct FlipsBuilder {
    flips: Flips,
    /// More bits than these are a bitmap of their own.
    most_toggles: usize,
}

impl FlipsBuilder {
    /// For a column of so many clauses and these tests; one that is a gate keeps lists rather than bitmaps, since it adds
    /// them to what other gates have found.
    pub(super) fn new(clauses: usize, tests: &[(u32, &Term)], is_gate: bool) -> Self {
        let words = bitmap::words(clauses);
        let mut rest = vec![u64::MAX; words];
        for (clause, term) in tests {
            if !term.negated && bitmap::contains(&rest, *clause) {
                bitmap::toggle(&mut rest, *clause);
            }
        }
        Self {
            flips: Flips {
                words,
                bitmaps: rest,
                entries: vec![Entry {
                    base: 0,
                    toggles: 0..0,
                }],
                toggles: Vec::new(),
            },
            // A bitmap is then at most eight times as large as the list it stands for.
            most_toggles: if is_gate {
                words * 2
            } else {
                (words / 4).max(2)
            },
        }
    }

    /// An entry that flips these clauses.
    pub(super) fn entry(&mut self, mut clauses: Vec<u32>) -> EntryId {
        clauses.sort_unstable();
        clauses.dedup();
        if clauses.is_empty() {
            return Flips::REST;
        }
        if clauses.len() <= self.most_toggles {
            return self.push(0, &clauses);
        }
        let bitmap = self.flipped(&clauses);
        let base = self.keep(&bitmap);
        self.push(base, &[])
    }

    /// The entries of a row of intervals, where `changes` are the clauses that come in or go out from one to the next.
    pub(super) fn row(&mut self, changes: &[Vec<u32>]) -> Vec<EntryId> {
        let mut now = self.flips.rest().to_vec();
        let mut difference: Vec<u32> = Vec::new();
        let mut newest = 0;
        let mut last = Flips::REST;
        let mut entries = Vec::with_capacity(changes.len());
        for changed in changes {
            if !changed.is_empty() {
                for clause in changed {
                    bitmap::toggle(&mut now, *clause);
                    match difference.binary_search(clause) {
                        Ok(at) => _ = difference.remove(at),
                        Err(at) => difference.insert(at, *clause),
                    }
                }
                if difference.len() > self.most_toggles {
                    newest = self.keep(&now);
                    difference.clear();
                }
                last = self.push(newest, &difference);
            }
            entries.push(last);
        }
        entries
    }

    fn flipped(&self, clauses: &[u32]) -> Vec<u64> {
        let mut bitmap = self.flips.rest().to_vec();
        for clause in clauses {
            bitmap::toggle(&mut bitmap, *clause);
        }
        bitmap
    }

    fn keep(&mut self, bitmap: &[u64]) -> usize {
        let base = self.flips.bitmaps.len();
        self.flips.bitmaps.extend_from_slice(bitmap);
        base
    }

    fn push(&mut self, base: usize, toggles: &[u32]) -> EntryId {
        let flips = &mut self.flips;
        let length = |list: &[u32]| u32::try_from(list.len()).unwrap_or(u32::MAX);
        let start = length(&flips.toggles);
        flips.toggles.extend_from_slice(toggles);
        let entry = EntryId::try_from(flips.entries.len()).unwrap_or(EntryId::MAX);
        flips.entries.push(Entry {
            base,
            toggles: start..length(&flips.toggles),
        });
        entry
    }

    pub(super) fn finish(mut self) -> Flips {
        self.flips.bitmaps.shrink_to_fit();
        self.flips.entries.shrink_to_fit();
        self.flips.toggles.shrink_to_fit();
        self.flips
    }
}
