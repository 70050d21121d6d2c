//! One walk over the bytes of an event: everything is validated, only what rules look at is kept.
//!
//! The grammar is that of RFC 8259. Every function takes the offset of what it reads and gives that of what follows, or
//! nothing if the event is malformed: an offset in hand costs less than one in memory.

mod elements;
mod marks;
mod number;
mod string;

use super::paths::{Node, NodeId, PathTree};
use super::slots::{Kind, Slot, Slots};
use super::text_table::TextWords;
use crate::malformed::{MAX_DEPTH, MAX_EVENT_BYTES, MalformedEvent, MalformedKind};
pub(super) use elements::Elements;
pub(super) use marks::Marks;

/// Reads an event: its values are in `slots` then. Returns the event as text.
pub(super) fn scan<'e>(
    event: &'e [u8],
    paths: &PathTree,
    marks: &mut Marks,
    slots: &mut Slots,
) -> Result<&'e str, MalformedEvent> {
    slots.begin(paths);
    if event.len() > MAX_EVENT_BYTES {
        return Err(MalformedEvent::new(
            MalformedKind::TooLarge,
            MAX_EVENT_BYTES,
        ));
    }
    let text = std::str::from_utf8(event)
        .map_err(|error| MalformedEvent::new(MalformedKind::Utf8, error.valid_up_to()))?;
    marks.set(event);
    let mut scanner = Scanner {
        bytes: event,
        marks,
        paths,
        slots,
        error: MalformedEvent::new(MalformedKind::Syntax, 0),
    };
    match scanner.document() {
        Some(()) => Ok(text),
        None => Err(scanner.error),
    }
}

struct Scanner<'e, 's> {
    bytes: &'e [u8],
    marks: &'s Marks,
    paths: &'s PathTree,
    slots: &'s mut Slots,
    /// What is wrong, once something is.
    error: MalformedEvent,
}

impl Scanner<'_, '_> {
    fn document(&mut self) -> Option<()> {
        let (at, first) = self.next(0);
        let end = match self.paths.node(0) {
            Some(root) if first == b'{' => self.object(root, at, 1)?,
            // What is no JSON at all is told as that.
            _ => self.skip(at, first, 0)?,
        };
        match self.next(end) {
            (at, _) if at < self.bytes.len() => self.fail(at),
            _ if first == b'{' => Some(()),
            _ => self.refuse(MalformedKind::NotAnObject, 0),
        }
    }

    /// Notes a syntax error.
    #[cold]
    fn fail<T>(&mut self, at: usize) -> Option<T> {
        self.refuse(MalformedKind::Syntax, at.min(self.bytes.len()))
    }

    #[cold]
    fn refuse<T>(&mut self, kind: MalformedKind, at: usize) -> Option<T> {
        self.error = MalformedEvent::new(kind, at);
        None
    }

    /// The byte at an offset; zero, which no token begins with, after the end of the event.
    #[inline(always)]
    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// The next byte that is no white space, and its offset.
    #[inline(always)]
    fn next(&self, mut at: usize) -> (usize, u8) {
        loop {
            let byte = self.byte(at);
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return (at, byte);
            }
            at += 1;
        }
    }

    /// A value that rules look at, or into; it has `depth` containers around it.
    #[inline]
    fn value(&mut self, node: &Node, start: usize, first: u8, depth: usize) -> Option<usize> {
        let (end, value) = match first {
            b'"' => {
                let (end, is_plain) = self.string(start)?;
                (end, self.text(start + 1, end - 1, is_plain))
            }
            b'{' => {
                let end = self.object(node, start, depth + 1)?;
                (end, Slot::new(Kind::Object, start, end))
            }
            b'[' => {
                let end = self.array(node, start, depth + 1)?;
                (end, Slot::new(Kind::Array, start, end))
            }
            _ => {
                let (end, kind) = self.scalar(start, first)?;
                (end, Slot::new(kind, start, end))
            }
        };
        if let Some(slot) = node.slot {
            self.slots.fill(slot, value);
        }
        Some(end)
    }

    /// A value that no rule looks at.
    #[inline]
    fn skip(&mut self, start: usize, first: u8, depth: usize) -> Option<usize> {
        match first {
            b'"' => self.string(start).map(|(end, _)| end),
            b'{' | b'[' => self.skip_containers(start, first, depth),
            _ => self.scalar(start, first).map(|(end, _)| end),
        }
    }

    /// The value of a string, whose quotes are left away.
    #[inline]
    fn text(&mut self, start: usize, end: usize, is_plain: bool) -> Slot {
        let raw = self.bytes.get(start..end).unwrap_or_default();
        if is_plain {
            return Slot::text(Kind::Text, start, end, self.words(raw, start, end));
        }
        let start = self.slots.unescaped.len();
        string::unescape(raw, &mut self.slots.unescaped);
        let text = self.slots.unescaped.as_bytes();
        let words = TextWords::of(text.get(start..).unwrap_or_default());
        Slot::text(Kind::Unescaped, start, text.len(), words)
    }

    /// The words of a string without escapes.
    #[inline(always)]
    fn words(&self, text: &[u8], start: usize, end: usize) -> TextWords {
        match (self.word_at(start), self.word_at(end.max(8) - 8)) {
            (Some(first), Some(last)) => TextWords::within(text.len(), first, last),
            // Near the end of the event.
            _ => TextWords::of(text),
        }
    }

    #[inline(always)]
    fn word_at(&self, at: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..)?.first_chunk()?;
        Some(u64::from_le_bytes(*bytes))
    }

    fn is_too_deep(&mut self, at: usize, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return self.refuse(MalformedKind::TooDeep, at);
        }
        Some(())
    }

    /// An object of which some members may be looked at; with it there are `depth` containers.
    fn object(&mut self, node: &Node, start: usize, depth: usize) -> Option<usize> {
        if !node.has_members() {
            return self.skip_containers(start, b'{', depth - 1);
        }
        self.is_too_deep(start, depth)?;
        let paths = self.paths;
        let (mut at, mut byte) = self.next(start + 1);
        if byte == b'}' {
            return Some(at + 1);
        }
        loop {
            if byte != b'"' {
                return self.fail(at);
            }
            let (end, is_plain) = self.string(at)?;
            let member = self.member(node, at + 1, end - 1, is_plain);
            (at, byte) = self.after_colon(end)?;
            let end = match member.and_then(|id| Some((id, paths.node(id)?))) {
                Some((id, member)) => {
                    self.slots.meet(id, paths);
                    self.value(member, at, byte, depth)?
                }
                None => self.skip(at, byte, depth)?,
            };
            (at, byte) = self.next(end);
            match byte {
                b',' => (at, byte) = self.next(at + 1),
                b'}' => return Some(at + 1),
                _ => return self.fail(at),
            }
        }
    }

    /// What comes after a key and its colon.
    #[inline(always)]
    fn after_colon(&mut self, end: usize) -> Option<(usize, u8)> {
        let (at, byte) = self.next(end);
        if byte != b':' {
            return self.fail(at);
        }
        Some(self.next(at + 1))
    }

    /// Where a member stands in the paths.
    #[inline(always)]
    fn member(&mut self, node: &Node, start: usize, end: usize, is_plain: bool) -> Option<NodeId> {
        let key = self.bytes.get(start..end)?;
        if is_plain {
            return node.member(self.words(key, start, end), key);
        }
        let mut unescaped = std::mem::take(&mut self.slots.unescaped);
        let length = unescaped.len();
        string::unescape(key, &mut unescaped);
        let key = unescaped.as_bytes().get(length..).unwrap_or_default();
        let member = node.member(TextWords::of(key), key);
        unescaped.truncate(length);
        self.slots.unescaped = unescaped;
        member
    }

    /// An array of which some elements may be looked at.
    fn array(&mut self, node: &Node, start: usize, depth: usize) -> Option<usize> {
        if !node.has_elements() {
            return self.skip_containers(start, b'[', depth - 1);
        }
        self.is_too_deep(start, depth)?;
        let paths = self.paths;
        let (mut at, mut byte) = self.next(start + 1);
        if byte == b']' {
            return Some(at + 1);
        }
        for index in 0.. {
            let end = match node.element(index).and_then(|id| paths.node(id)) {
                Some(element) => self.value(element, at, byte, depth)?,
                None => self.skip(at, byte, depth)?,
            };
            (at, byte) = self.next(end);
            match byte {
                b',' => (at, byte) = self.next(at + 1),
                b']' => return Some(at + 1),
                _ => break,
            }
        }
        self.fail(at)
    }

    /// A container that no rule looks into, and all in it; it has `depth` containers around it.
    fn skip_containers(&mut self, start: usize, first: u8, depth: usize) -> Option<usize> {
        // Which of the open containers are objects, the innermost in the lowest bit: there are at most 64.
        let mut objects = 0_u64;
        let mut open = depth;
        let (mut at, mut byte) = (start, first);
        loop {
            // A value begins here.
            let end = if matches!(byte, b'{' | b'[') {
                open += 1;
                self.is_too_deep(at, open)?;
                let is_object = byte == b'{';
                objects = (objects << 1) | u64::from(is_object);
                (at, byte) = self.next(at + 1);
                let is_empty = byte == if is_object { b'}' } else { b']' };
                if !is_empty {
                    if is_object {
                        (at, byte) = self.skip_key(at, byte)?;
                    }
                    continue;
                }
                at
            } else {
                match byte {
                    b'"' => self.string(at)?.0,
                    _ => self.scalar(at, byte)?.0,
                }
            };
            // It has ended, or is an empty container: close what closes here.
            (at, byte) = self.next(end);
            loop {
                let in_object = objects & 1 == 1;
                if byte == b',' {
                    (at, byte) = self.next(at + 1);
                    if in_object {
                        (at, byte) = self.skip_key(at, byte)?;
                    }
                    break;
                }
                if byte != if in_object { b'}' } else { b']' } {
                    return self.fail(at);
                }
                objects >>= 1;
                open -= 1;
                if open == depth {
                    return Some(at + 1);
                }
                (at, byte) = self.next(at + 1);
            }
        }
    }

    /// Gives what comes after the key and its colon.
    #[inline]
    fn skip_key(&mut self, at: usize, first: u8) -> Option<(usize, u8)> {
        if first != b'"' {
            return self.fail(at);
        }
        let (end, _) = self.string(at)?;
        self.after_colon(end)
    }
}
