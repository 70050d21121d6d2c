//! Numbers and literals.

use super::Scanner;
use crate::engine::slots::Kind;

impl Scanner<'_, '_> {
    /// A literal or a number.
    #[inline]
    pub(super) fn scalar(&mut self, start: usize, first: u8) -> Option<(usize, Kind)> {
        match first {
            b'-' | b'0'..=b'9' => self.number(start, first).map(|end| (end, Kind::Number)),
            b't' => self.word(start, b"true", Kind::True),
            b'f' => self.word(start, b"false", Kind::False),
            b'n' => self.word(start, b"null", Kind::Null),
            _ => self.fail(start),
        }
    }

    fn word(&mut self, start: usize, word: &[u8], kind: Kind) -> Option<(usize, Kind)> {
        let end = start + word.len();
        if self.bytes.get(start..end) == Some(word) {
            return Some((end, kind));
        }
        self.fail(start)
    }

    fn number(&mut self, start: usize, first: u8) -> Option<usize> {
        let mut at = start + usize::from(first == b'-');
        at = match self.byte(at) {
            b'0' => at + 1,
            _ => self.digits(at)?,
        };
        if self.byte(at) == b'.' {
            at = self.digits(at + 1)?;
        }
        if let b'e' | b'E' = self.byte(at) {
            at += 1;
            at += usize::from(matches!(self.byte(at), b'+' | b'-'));
            at = self.digits(at)?;
        }
        Some(at)
    }

    /// At least one digit.
    #[inline]
    fn digits(&mut self, start: usize) -> Option<usize> {
        let mut at = start;
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        if at == start {
            return self.fail(at);
        }
        Some(at)
    }
}
