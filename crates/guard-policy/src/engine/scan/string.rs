//! Strings: where they end, and what they stand for.

use super::{Scanned, Scanner};
use crate::engine::paths::key_head;
use crate::malformed::{MalformedEvent, MalformedKind};

/// A string's place, without its quotes.
#[derive(Debug, Clone, Copy)]
pub(super) struct StringSpan {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) escaped: bool,
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
const BACKSLASHES: u64 = u64::from_le_bytes([b'\\'; 8]);
const SPACES: u64 = u64::from_le_bytes([b' '; 8]);

/// Marks the bytes of a word that are a quote, a backslash or a control character. The lowest mark is exact; those above it
/// may be false.
#[inline]
const fn special(word: u64) -> u64 {
    let quote = word ^ QUOTES;
    let backslash = word ^ BACKSLASHES;
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    let control = word.wrapping_sub(SPACES) & !word;
    (quote | backslash | control) & HIGH
}

impl Scanner<'_, '_> {
    #[inline]
    fn word_at(&self, at: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..)?.first_chunk()?;
        Some(u64::from_le_bytes(*bytes))
    }

    /// A string that begins where the scanner stands.
    #[inline]
    pub(super) fn string(&mut self) -> Scanned<StringSpan> {
        let start = self.at + 1;
        self.string_from(start, start)
    }

    /// A key of an object, with its [`key_head`].
    #[inline]
    pub(super) fn key(&mut self) -> Scanned<(u64, StringSpan)> {
        if self.peek() != Some(b'"') {
            return Err(self.wrong());
        }
        let start = self.at + 1;
        let Some(word) = self.word_at(start) else {
            let span = self.string_from(start, start)?;
            let key = self.bytes.get(span.start..span.end).unwrap_or_default();
            return Ok((key_head(key), span));
        };
        let marks = special(word);
        if marks == 0 {
            return Ok((word, self.string_from(start, start + 8)?));
        }
        let length = marks.trailing_zeros() / 8;
        let span = self.string_from(start, start + length as usize)?;
        Ok((word & !(u64::MAX << (length * 8)), span))
    }

    /// The rest of a string that begins at `start`, of which the part before `at` is known to be plain.
    #[inline]
    fn string_from(&mut self, start: usize, mut at: usize) -> Scanned<StringSpan> {
        let mut escaped = false;
        loop {
            while let Some(word) = self.word_at(at) {
                let marks = special(word);
                if marks != 0 {
                    at += (marks.trailing_zeros() / 8) as usize;
                    break;
                }
                at += 8;
            }
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(StringSpan {
                        start,
                        end: at,
                        escaped,
                    });
                }
                Some(b'\\') => {
                    escaped = true;
                    at = self.escape(at)?;
                }
                // Near the end of the event the bytes are taken one by one.
                Some(byte) if *byte >= b' ' => at += 1,
                _ => {
                    self.at = at;
                    return Err(self.wrong());
                }
            }
        }
    }

    /// Checks the escape at `at`, and tells where it ends.
    fn escape(&mut self, at: usize) -> Scanned<usize> {
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => {
                let lone = || MalformedEvent::new(MalformedKind::LoneSurrogate, at);
                match self.unit(at)? {
                    0xdc00..=0xdfff => Err(lone()),
                    0xd800..=0xdbff => {
                        if self.bytes.get(at + 6..at + 8) != Some(br"\u") {
                            return Err(lone());
                        }
                        match self.unit(at + 6)? {
                            0xdc00..=0xdfff => Ok(at + 12),
                            _ => Err(lone()),
                        }
                    }
                    _ => Ok(at + 6),
                }
            }
            _ => {
                self.at = at + 1;
                Err(self.wrong())
            }
        }
    }

    fn unit(&mut self, at: usize) -> Scanned<u32> {
        let digits = self.bytes.get(at + 2..at + 6);
        let unit = digits.and_then(hex);
        unit.ok_or_else(|| {
            self.at = at;
            self.wrong()
        })
    }
}

/// The value of hexadecimal digits.
fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| {
        Some(value * 16 + char::from(*digit).to_digit(16)?)
    })
}

/// Appends what a string stands for; `raw` has been validated.
pub(super) fn unescape(raw: &[u8], out: &mut String) {
    let mut rest = raw;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (plain, escape) = rest.split_at(at);
        out.push_str(std::str::from_utf8(plain).unwrap_or_default());
        let (character, length) = unescape_one(escape);
        out.push(character);
        rest = escape.get(length..).unwrap_or_default();
    }
    out.push_str(std::str::from_utf8(rest).unwrap_or_default());
}

/// The character that an escape stands for, and the length of the escape.
fn unescape_one(escape: &[u8]) -> (char, usize) {
    let unit = |from: usize| escape.get(from..from + 4).and_then(hex).unwrap_or_default();
    match escape.get(1) {
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => match unit(2) {
            high @ 0xd800..=0xdbff => {
                let code = 0x10000 + ((high - 0xd800) << 10) + (unit(8).saturating_sub(0xdc00));
                (char::from_u32(code).unwrap_or_default(), 12)
            }
            code => (char::from_u32(code).unwrap_or_default(), 6),
        },
        Some(other) => (char::from(*other), 2),
        None => ('\\', 1),
    }
}
