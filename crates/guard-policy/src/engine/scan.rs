//! One walk over the bytes of an event: everything is validated, only what rules look at is kept.
//!
//! The grammar is that of RFC 8259.

mod elements;
mod marks;
mod string;

use super::paths::{Node, NodeId, PathTree};
use super::slots::{Kind, Slot, Slots};
use super::text_table::TextWords;
use crate::malformed::{MAX_DEPTH, MAX_EVENT_BYTES, MalformedEvent, MalformedKind};
pub(super) use elements::Elements;
pub(super) use marks::Marks;
use string::StringSpan;

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
        at: 0,
        paths,
        slots,
        error: None,
    };
    match scanner.document() {
        Some(()) => Ok(text),
        None => Err(scanner.into_error()),
    }
}

struct Scanner<'e, 's> {
    bytes: &'e [u8],
    marks: &'s Marks,
    at: usize,
    paths: &'s PathTree,
    slots: &'s mut Slots,
    /// What is wrong, if it is no syntax error where the scanner stands.
    error: Option<MalformedEvent>,
}

/// Nothing if the event is malformed.
type Scanned<T> = Option<T>;

impl Scanner<'_, '_> {
    fn document(&mut self) -> Scanned<()> {
        let first = self.peek();
        if first == Some(b'{') {
            self.object(Some(0), 1)?;
        } else {
            // What is no JSON at all is told as that.
            self.value(None, 0)?;
        }
        match self.peek() {
            Some(_) => None,
            None if first == Some(b'{') => Some(()),
            None => self.refuse(MalformedKind::NotAnObject, 0),
        }
    }

    fn into_error(self) -> MalformedEvent {
        let at = self.at.min(self.bytes.len());
        self.error
            .unwrap_or(MalformedEvent::new(MalformedKind::Syntax, at))
    }

    #[cold]
    fn refuse<T>(&mut self, kind: MalformedKind, offset: usize) -> Scanned<T> {
        self.error = Some(MalformedEvent::new(kind, offset));
        None
    }

    /// The next byte that is no white space, which is not consumed.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Consumes one byte that must come next, after white space.
    #[inline]
    fn expect(&mut self, byte: u8) -> Scanned<()> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Some(());
        }
        None
    }

    /// A value, at depth so many containers; `node` is where it stands in the paths, if any path leads there.
    #[inline]
    fn value(&mut self, node: Option<NodeId>, depth: usize) -> Scanned<()> {
        let byte = self.peek()?;
        let Some(node) = node else {
            return match byte {
                b'"' => self.string().map(drop),
                b'{' | b'[' => self.skip_containers(depth),
                _ => self.scalar(byte).map(drop),
            };
        };
        let start = self.at;
        let value = match byte {
            b'"' => {
                let span = self.string()?;
                self.text(span, node)
            }
            b'{' => {
                self.object(Some(node), depth + 1)?;
                Slot::new(Kind::Object, start, self.at)
            }
            b'[' => {
                self.array(node, depth + 1)?;
                Slot::new(Kind::Array, start, self.at)
            }
            _ => {
                let kind = self.scalar(byte)?;
                Slot::new(kind, start, self.at)
            }
        };
        if let Some(slot) = self.slot(node) {
            self.slots.fill(slot, value);
        }
        Some(())
    }

    fn slot(&self, node: NodeId) -> Option<u32> {
        self.paths.node(node)?.slot
    }

    /// The value of a string that rules look at.
    #[inline]
    fn text(&mut self, span: StringSpan, node: NodeId) -> Slot {
        if !span.escaped || self.slot(node).is_none() {
            return Slot::new(Kind::Text, span.start, span.end);
        }
        let raw = self.bytes.get(span.start..span.end).unwrap_or_default();
        let start = self.slots.unescaped.len();
        string::unescape(raw, &mut self.slots.unescaped);
        Slot::new(Kind::Unescaped, start, self.slots.unescaped.len())
    }

    /// Enters a container.
    #[inline]
    fn enter(&mut self, depth: usize) -> Scanned<()> {
        if depth > MAX_DEPTH {
            return self.refuse(MalformedKind::TooDeep, self.at);
        }
        self.at += 1;
        Some(())
    }

    /// An object of which some members may be looked at.
    fn object(&mut self, node: Option<NodeId>, depth: usize) -> Scanned<()> {
        let paths = self.paths;
        let inner = node.and_then(|node| paths.node(node));
        let Some(inner) = inner.filter(|node| node.has_members()) else {
            return self.skip_containers(depth - 1);
        };
        self.enter(depth)?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Some(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return None;
            }
            let span = self.string()?;
            let member = self.member(inner, span);
            if let Some(member) = member {
                self.slots.meet(member, paths);
            }
            self.expect(b':')?;
            self.value(member, depth)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// Where a member stands in the paths.
    #[inline]
    fn member(&mut self, inner: &Node, span: StringSpan) -> Option<NodeId> {
        if span.escaped {
            return self.escaped_member(inner, span);
        }
        let key = self.bytes.get(span.start..span.end)?;
        let words = match (self.word_at(span.start), self.word_at(span.end.max(8) - 8)) {
            (Some(first), Some(last)) => TextWords::within(key.len(), first, last),
            // Near the end of the event.
            _ => TextWords::of(key),
        };
        inner.member(words, key)
    }

    #[inline]
    fn word_at(&self, at: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..)?.first_chunk()?;
        Some(u64::from_le_bytes(*bytes))
    }

    #[cold]
    fn escaped_member(&mut self, inner: &Node, span: StringSpan) -> Option<NodeId> {
        let raw = self.bytes.get(span.start..span.end)?;
        let start = self.slots.unescaped.len();
        string::unescape(raw, &mut self.slots.unescaped);
        let key = self.slots.unescaped.as_bytes().get(start..)?;
        let member = inner.member(TextWords::of(key), key);
        self.slots.unescaped.truncate(start);
        member
    }

    /// An array of which some elements may be looked at.
    fn array(&mut self, node: NodeId, depth: usize) -> Scanned<()> {
        let paths = self.paths;
        let Some(inner) = paths.node(node).filter(|node| node.has_elements()) else {
            return self.skip_containers(depth - 1);
        };
        self.enter(depth)?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Some(());
        }
        let mut index = 0;
        loop {
            self.value(inner.element(index), depth)?;
            index += 1;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// A container that no rule looks into, and all in it. `depth` is how many containers are around it.
    fn skip_containers(&mut self, depth: usize) -> Scanned<()> {
        // Which of the open containers are objects, the innermost in the lowest bit: there are at most 64.
        let mut objects = 0_u64;
        let mut open = depth;
        loop {
            // A value begins here.
            match self.peek() {
                Some(byte @ (b'{' | b'[')) => {
                    open += 1;
                    self.enter(open)?;
                    let is_object = byte == b'{';
                    objects = (objects << 1) | u64::from(is_object);
                    match self.peek() {
                        Some(b'}') if is_object => {}
                        Some(b']') if !is_object => {}
                        _ if is_object => {
                            self.skip_key()?;
                            continue;
                        }
                        _ => continue,
                    }
                }
                Some(b'"') => self.string().map(drop)?,
                Some(byte) => self.scalar(byte).map(drop)?,
                None => return None,
            }
            // A value has ended, or a container is empty: close what closes here.
            loop {
                let in_object = objects & 1 == 1;
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        if in_object {
                            self.skip_key()?;
                        }
                        break;
                    }
                    Some(b'}') if in_object => {}
                    Some(b']') if !in_object => {}
                    _ => return None,
                }
                self.at += 1;
                objects >>= 1;
                open -= 1;
                if open == depth {
                    return Some(());
                }
            }
        }
    }

    fn skip_key(&mut self) -> Scanned<()> {
        if self.peek() != Some(b'"') {
            return None;
        }
        self.string()?;
        self.expect(b':')
    }

    /// A literal or a number.
    #[inline]
    fn scalar(&mut self, first: u8) -> Scanned<Kind> {
        match first {
            b'-' | b'0'..=b'9' => self.number().map(|()| Kind::Number),
            b't' => self.word(b"true", Kind::True),
            b'f' => self.word(b"false", Kind::False),
            b'n' => self.word(b"null", Kind::Null),
            _ => None,
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Scanned<Kind> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return None;
        }
        self.at += word.len();
        Some(kind)
    }

    fn number(&mut self) -> Scanned<()> {
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// At least one digit.
    #[inline]
    fn digits(&mut self) -> Scanned<()> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start {
            return None;
        }
        Some(())
    }
}
