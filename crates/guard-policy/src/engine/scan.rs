//! One walk over the bytes of an event: everything is validated, only what rules look at is kept.
//!
//! The grammar is that of RFC 8259. Strings are searched eight bytes at a time for what ends or escapes them (SWAR; the
//! test for a zero byte is from Alan Mycroft, 1987).

mod elements;
mod string;

use super::paths::{NodeId, PathTree};
use super::slots::{Kind, Slot, Slots};
use crate::malformed::{MAX_DEPTH, MAX_EVENT_BYTES, MalformedEvent, MalformedKind};
pub(super) use elements::Elements;
use string::StringSpan;

/// Reads an event: its values are in `slots` then. Returns the event as text.
pub(super) fn scan<'e>(
    event: &'e [u8],
    paths: &PathTree,
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
    let mut scanner = Scanner {
        bytes: event,
        at: 0,
        paths,
        slots,
    };
    scanner.document()?;
    Ok(text)
}

struct Scanner<'e, 's> {
    bytes: &'e [u8],
    at: usize,
    paths: &'s PathTree,
    slots: &'s mut Slots,
}

type Scanned<T> = Result<T, MalformedEvent>;

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
            Some(_) => Err(self.wrong()),
            None if first == Some(b'{') => Ok(()),
            None => Err(MalformedEvent::new(MalformedKind::NotAnObject, 0)),
        }
    }

    /// A syntax error where the scanner stands.
    #[cold]
    fn wrong(&self) -> MalformedEvent {
        MalformedEvent::new(MalformedKind::Syntax, self.at.min(self.bytes.len()))
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
            return Ok(());
        }
        Err(self.wrong())
    }

    /// A value, at depth so many containers; `node` is where it stands in the paths, if any path leads there.
    #[inline]
    fn value(&mut self, node: Option<NodeId>, depth: usize) -> Scanned<()> {
        let Some(byte) = self.peek() else {
            return Err(self.wrong());
        };
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
        Ok(())
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
            return Err(MalformedEvent::new(MalformedKind::TooDeep, self.at));
        }
        self.at += 1;
        Ok(())
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
            return Ok(());
        }
        loop {
            let (head, span) = self.key()?;
            let member = if span.escaped {
                self.escaped_member(inner, span)
            } else {
                let key = self.bytes.get(span.start..span.end).unwrap_or_default();
                inner.member(head, key)
            };
            if let Some(member) = member {
                self.slots.meet(member, paths);
            }
            self.expect(b':')?;
            self.value(member, depth)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.wrong()),
            }
        }
    }

    #[cold]
    fn escaped_member(&mut self, inner: &super::paths::Node, span: StringSpan) -> Option<NodeId> {
        let raw = self.bytes.get(span.start..span.end).unwrap_or_default();
        let start = self.slots.unescaped.len();
        string::unescape(raw, &mut self.slots.unescaped);
        let key = self
            .slots
            .unescaped
            .as_bytes()
            .get(start..)
            .unwrap_or_default();
        let member = inner.member(super::paths::key_head(key), key);
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
            return Ok(());
        }
        let mut index = 0;
        loop {
            self.value(inner.element(index), depth)?;
            index += 1;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.wrong()),
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
                None => return Err(self.wrong()),
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
                    _ => return Err(self.wrong()),
                }
                self.at += 1;
                objects >>= 1;
                open -= 1;
                if open == depth {
                    return Ok(());
                }
            }
        }
    }

    fn skip_key(&mut self) -> Scanned<()> {
        if self.peek() != Some(b'"') {
            return Err(self.wrong());
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
            _ => Err(self.wrong()),
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Scanned<Kind> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.wrong());
        }
        self.at += word.len();
        Ok(kind)
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
        Ok(())
    }

    /// At least one digit.
    #[inline]
    fn digits(&mut self) -> Scanned<()> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.wrong());
        }
        Ok(())
    }
}
