//! The values that rules look at, as one walk over an event found them.

use super::paths::{NodeId, PathTree, SlotId};
use super::text_table::TextWords;

/// A value of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View<'a> {
    /// The event has no such value.
    Missing,
    Null,
    Bool(bool),
    /// The text of a number.
    Number(&'a str),
    /// The text of a string, without escapes.
    Text(&'a str),
    /// The JSON text of an array.
    Array(&'a str),
    Object,
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    kind: Kind,
    start: u32,
    end: u32,
    /// Of a text.
    words: TextWords,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Missing,
    Null,
    False,
    True,
    Number,
    /// A string that stands in the event as it is.
    Text,
    /// A string that had escapes and stands among the unescaped ones.
    Unescaped,
    Array,
    Object,
}

impl Slot {
    fn missing() -> Self {
        Self::new(Kind::Missing, 0, 0)
    }

    pub(super) fn new(kind: Kind, start: usize, end: usize) -> Self {
        // Events are bounded far below 4 GiB.
        let offset = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            kind,
            start: offset(start),
            end: offset(end),
            words: TextWords::default(),
        }
    }

    pub(super) fn text(kind: Kind, start: usize, end: usize, words: TextWords) -> Self {
        Self {
            words,
            ..Self::new(kind, start, end)
        }
    }
}

/// The values of one event, by slot. Kept from event to event, so that nothing is allocated anew.
#[derive(Debug, Default)]
pub(super) struct Slots {
    values: Vec<Slot>,
    /// The slots that have been filled, repetitions included.
    filled: Vec<SlotId>,
    /// For each node of the tree of paths, the event in which it was last met.
    met: Vec<u64>,
    event: u64,
    pub(super) unescaped: String,
}

impl Slots {
    /// Forgets the last event, and makes room for the paths of the next.
    pub(super) fn begin(&mut self, paths: &PathTree) {
        for slot in self.filled.drain(..) {
            if let Some(value) = self.values.get_mut(slot as usize) {
                value.kind = Kind::Missing;
            }
        }
        self.unescaped.clear();
        self.event += 1;
        if self.values.len() < paths.slot_count() {
            self.values.resize(paths.slot_count(), Slot::missing());
        }
        if self.met.len() < paths.node_count() {
            self.met.resize(paths.node_count(), 0);
        }
    }

    /// The number of the event, from 1.
    pub(super) const fn event(&self) -> u64 {
        self.event
    }

    /// The slots that have been filled; some may be named twice, and some may have been emptied again.
    pub(super) fn filled(&self) -> &[SlotId] {
        &self.filled
    }

    #[inline]
    pub(super) fn fill(&mut self, slot: SlotId, value: Slot) {
        if let Some(place) = self.values.get_mut(slot as usize) {
            *place = value;
            self.filled.push(slot);
        }
    }

    /// Notes that a member was met. If it was before, its key is repeated: what the first one held is forgotten, with all
    /// that is below it.
    #[inline]
    pub(super) fn meet(&mut self, node: NodeId, paths: &PathTree) {
        let Some(met) = self.met.get_mut(node as usize) else {
            return;
        };
        if *met == self.event {
            self.forget(node, paths);
        } else {
            *met = self.event;
        }
    }

    fn forget(&mut self, node: NodeId, paths: &PathTree) {
        let Some(found) = paths.node(node) else {
            return;
        };
        let slot = found
            .slot
            .and_then(|slot| self.values.get_mut(slot as usize));
        if let Some(value) = slot {
            value.kind = Kind::Missing;
        }
        for child in found.children() {
            self.forget(*child, paths);
        }
    }

    /// What kind of value a slot has.
    #[inline]
    pub(super) fn kind(&self, slot: SlotId) -> Kind {
        let slot = self.values.get(slot as usize);
        slot.map_or(Kind::Missing, |slot| slot.kind)
    }

    /// The words of the text in a slot.
    #[inline]
    pub(super) fn words(&self, slot: SlotId) -> TextWords {
        let slot = self.values.get(slot as usize);
        slot.map_or_else(TextWords::default, |slot| slot.words)
    }

    /// The value of a slot; `text` is the event.
    #[inline]
    pub(super) fn view<'a>(&'a self, slot: SlotId, text: &'a str) -> View<'a> {
        let Some(slot) = self.values.get(slot as usize) else {
            return View::Missing;
        };
        let range = slot.start as usize..slot.end as usize;
        match slot.kind {
            Kind::Missing => View::Missing,
            Kind::Null => View::Null,
            Kind::False => View::Bool(false),
            Kind::True => View::Bool(true),
            Kind::Number => View::Number(text.get(range).unwrap_or_default()),
            Kind::Text => View::Text(text.get(range).unwrap_or_default()),
            Kind::Unescaped => View::Text(self.unescaped.get(range).unwrap_or_default()),
            Kind::Array => View::Array(text.get(range).unwrap_or_default()),
            Kind::Object => View::Object,
        }
    }
}
