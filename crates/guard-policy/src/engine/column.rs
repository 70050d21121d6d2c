//! One index: the tests of one kind on one field, answered for all clauses at once.

mod affixes;
mod equality;
mod family;
mod flips;
mod intervals;
mod substrings;
mod wanted;

use std::net::IpAddr;

use super::bitmap;
use super::check::{Reading, Room, Term, fold, parse_address};
use super::scan::Elements;
use super::slots::{Kind, View};
use affixes::Affixes;
use equality::Equality;
pub(super) use family::{Family, Shape};
pub(super) use flips::EntryId;
use flips::{Flips, FlipsBuilder};
use intervals::{Intervals, NumberCuts};
use substrings::Substrings;
use wanted::{ranges, scalars, texts};

/// An index of one family for the clauses of a partition.
#[derive(Debug)]
pub(super) struct Column {
    family: Family,
    index: Index,
    flips: Flips,
}

#[derive(Debug)]
enum Index {
    Equal(Equality),
    Prefix(Affixes),
    Suffix(Affixes),
    Contains {
        text: Substrings,
        elements: Equality,
    },
    Networks {
        v4: Intervals<Vec<u32>>,
        v6: Intervals<Vec<u128>>,
    },
    Range(Intervals<NumberCuts>),
    Exists(EntryId),
}

/// What narrowing needs; kept from event to event.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    hits: Vec<EntryId>,
    /// The bits that the values of an array flip.
    flips: Vec<u64>,
    of_element: Vec<u64>,
    kept: Vec<u32>,
}

impl Column {
    /// Makes an index that throws clauses out, of `clauses` clauses. Their tests come in their order.
    pub(super) fn new(family: Family, clauses: usize, tests: &[(u32, &Term)]) -> Self {
        Self::build(family, FlipsBuilder::new(clauses, tests, false), tests)
    }

    /// Makes an index that brings clauses in.
    pub(super) fn gate(family: Family, clauses: usize, tests: &[(u32, &Term)]) -> Self {
        Self::build(family, FlipsBuilder::new(clauses, tests, true), tests)
    }

    fn build(family: Family, mut flips: FlipsBuilder, tests: &[(u32, &Term)]) -> Self {
        let index = match family.shape {
            Shape::Exists => {
                let all = tests.iter().map(|(clause, _)| *clause).collect();
                Index::Exists(flips.entry(all))
            }
            Shape::Equal { .. } => Index::Equal(Equality::new(scalars(tests), &mut flips)),
            Shape::Contains { .. } => {
                let wanted = scalars(tests);
                Index::Contains {
                    text: Substrings::new(&wanted, &mut flips),
                    elements: Equality::new(wanted, &mut flips),
                }
            }
            Shape::Prefix { .. } => Index::Prefix(Affixes::new(&texts(tests), false, &mut flips)),
            Shape::Suffix { .. } => Index::Suffix(Affixes::new(&texts(tests), true, &mut flips)),
            Shape::Range => Index::Range(Intervals::numbers(&ranges(tests), &mut flips)),
            Shape::Networks => {
                let (v4, v6) = intervals::networks(tests, &mut flips);
                Index::Networks { v4, v6 }
            }
        };
        Self {
            family,
            index,
            flips: flips.finish(),
        }
    }

    /// Keeps of the candidates those whose tests pass.
    pub(super) fn narrow(
        &self,
        event: &mut Reading<'_>,
        work: &mut Workspace,
        candidates: &mut [u64],
    ) {
        if let Some(entry) = self.find_plain(event) {
            return match entry {
                Some(entry) => self.flips.intersect(entry, candidates, &mut work.kept),
                None => bitmap::intersect(candidates, self.flips.rest()),
            };
        }
        let view = event.slots.view(self.family.slot, event.text);
        work.hits.clear();
        match view {
            View::Missing => {}
            View::Array(text) if self.family.shape != Shape::Exists => {
                return self.narrow_by_array(text, event.room, work, candidates);
            }
            _ => self.find(view, false, event.room, &mut work.hits),
        }
        match work.hits.as_slice() {
            [] => bitmap::intersect(candidates, self.flips.rest()),
            [entry] => self.flips.intersect(*entry, candidates, &mut work.kept),
            hits => {
                self.flips.union(hits, &mut work.flips);
                self.flips.intersect_flipped(&work.flips, candidates);
            }
        }
    }

    fn narrow_by_array(
        &self,
        array: &str,
        room: &mut Room,
        work: &mut Workspace,
        candidates: &mut [u64],
    ) {
        if !self.family.all {
            self.find_elements(array, room, &mut work.hits);
            self.flips.union(&work.hits, &mut work.flips);
            return self.flips.intersect_flipped(&work.flips, candidates);
        }
        let mut buffer = std::mem::take(&mut room.element);
        let mut elements = Elements::of(array);
        let mut first = true;
        work.flips.clear();
        while let Some(element) = elements.next(&mut buffer) {
            work.hits.clear();
            self.find(element, true, room, &mut work.hits);
            self.flips.union(&work.hits, &mut work.of_element);
            if std::mem::take(&mut first) {
                work.flips.clone_from(&work.of_element);
            } else {
                bitmap::intersect(&mut work.flips, &work.of_element);
            }
        }
        // An array without elements flips nothing.
        work.flips.resize(candidates.len(), 0);
        room.element = buffer;
        self.flips.intersect_flipped(&work.flips, candidates);
    }

    /// The entries of all elements of an array.
    fn find_elements(&self, array: &str, room: &mut Room, hits: &mut Vec<EntryId>) {
        let mut buffer = std::mem::take(&mut room.element);
        let mut elements = Elements::of(array);
        while let Some(element) = elements.next(&mut buffer) {
            self.find(element, true, room, hits);
        }
        room.element = buffer;
    }

    /// Adds the clauses whose test passes, for a column of tests that must hold.
    pub(super) fn admit(
        &self,
        event: &mut Reading<'_>,
        work: &mut Workspace,
        candidates: &mut [u64],
    ) {
        if event.slots.kind(self.family.slot) == Kind::Missing {
            return;
        }
        if let Some(entry) = self.find_plain(event) {
            if let Some(entry) = entry {
                self.flips.admit(entry, candidates);
            }
            return;
        }
        let view = event.slots.view(self.family.slot, event.text);
        work.hits.clear();
        match view {
            View::Array(text) if self.family.shape != Shape::Exists => {
                // If all elements must pass, one that does is needed all the same.
                self.find_elements(text, event.room, &mut work.hits);
            }
            _ => self.find(view, false, event.room, &mut work.hits),
        }
        for entry in &work.hits {
            self.flips.admit(*entry, candidates);
        }
    }

    /// The entry of the text of a field, where only equality is asked; nothing where more has to be looked at.
    #[inline(always)]
    fn find_plain(&self, event: &Reading<'_>) -> Option<Option<EntryId>> {
        let slot = self.family.slot;
        let (Index::Equal(equal), Shape::Equal { fold: false }, Kind::Text | Kind::Unescaped) =
            (&self.index, self.family.shape, event.slots.kind(slot))
        else {
            return None;
        };
        Some(
            equal.find_words(event.slots.words(slot), || match event.view(slot) {
                View::Text(text) => text.as_bytes(),
                _ => &[],
            }),
        )
    }

    /// The entries of a value. The same entry may come twice.
    #[inline]
    fn find(&self, view: View<'_>, in_array: bool, room: &mut Room, hits: &mut Vec<EntryId>) {
        let room = &mut room.folded;
        match (&self.index, view) {
            (Index::Exists(entry), _) => hits.push(*entry),
            (Index::Equal(equal), View::Text(text)) => {
                hits.extend(equal.find_text(self.folded(text, room)));
            }
            (Index::Equal(equal), _) => hits.extend(equal.find(view)),
            (Index::Contains { text: index, .. }, View::Text(text)) if !in_array => {
                index.find(self.folded(text, room), hits);
            }
            (Index::Contains { elements, .. }, View::Text(text)) => {
                hits.extend(elements.find_text(self.folded(text, room)));
            }
            (Index::Contains { elements, .. }, _) if in_array => hits.extend(elements.find(view)),
            (Index::Prefix(affixes), View::Text(text)) => {
                hits.extend(affixes.find_prefix(self.folded(text, room)));
            }
            (Index::Suffix(affixes), View::Text(text)) => {
                hits.extend(affixes.find_suffix(self.folded(text, room)));
            }
            (Index::Range(cuts), View::Number(text)) => hits.extend(cuts.find(text)),
            (Index::Networks { v4, v6 }, View::Text(text)) => {
                hits.extend(match parse_address(text) {
                    Some(IpAddr::V4(address)) => v4.find(&address.to_bits()),
                    Some(IpAddr::V6(address)) => v6.find(&address.to_bits()),
                    None => None,
                });
            }
            _ => {}
        }
    }

    fn folded<'a>(&self, text: &'a str, room: &'a mut String) -> &'a str {
        let asked = matches!(
            self.family.shape,
            Shape::Equal { fold: true }
                | Shape::Prefix { fold: true }
                | Shape::Suffix { fold: true }
                | Shape::Contains { fold: true }
        );
        fold(text, asked, room)
    }
}
