//! Strings: where they end, and what they stand for.

use super::Scanner;
use crate::malformed::MalformedKind;

impl Scanner<'_, '_> {
    /// A string that begins at an offset. Gives its end, and whether it has no escapes.
    #[inline(always)]
    pub(super) fn string(&mut self, start: usize) -> Option<(usize, bool)> {
        let end = self.marks.next(start + 1);
        if self.byte(end) == b'"' {
            return Some((end + 1, true));
        }
        self.escaped_string(end)
    }

    /// The rest of a string, from its first escape on.
    #[cold]
    fn escaped_string(&mut self, mut at: usize) -> Option<(usize, bool)> {
        loop {
            match self.byte(at) {
                b'"' => return Some((at + 1, false)),
                b'\\' => at = self.escape(at)?,
                // A control character, or the end of the event.
                _ => return self.fail(at),
            }
            at = self.marks.next(at);
        }
    }

    /// Checks the escape at an offset, and tells where it ends.
    fn escape(&mut self, at: usize) -> Option<usize> {
        match self.byte(at + 1) {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
            b'u' => match self.unit(at)? {
                0xdc00..=0xdfff => self.refuse(MalformedKind::LoneSurrogate, at),
                0xd800..=0xdbff => {
                    let has_other = self.bytes.get(at + 6..at + 8) == Some(br"\u");
                    match if has_other { self.unit(at + 6)? } else { 0 } {
                        0xdc00..=0xdfff => Some(at + 12),
                        _ => self.refuse(MalformedKind::LoneSurrogate, at),
                    }
                }
                _ => Some(at + 6),
            },
            _ => self.fail(at + 1),
        }
    }

    /// The UTF-16 unit of the escape at an offset.
    fn unit(&mut self, at: usize) -> Option<u32> {
        match self.bytes.get(at + 2..at + 6).and_then(hex) {
            Some(unit) => Some(unit),
            None => self.fail(at),
        }
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
