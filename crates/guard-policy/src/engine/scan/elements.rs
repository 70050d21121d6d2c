//! The elements of an array that has been validated.

use super::string::unescape;
use crate::engine::slots::View;

/// Walks over the elements of an array. Arrays within it are told as [`View::Object`]: no operator looks into them.
pub(in crate::engine) struct Elements<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Elements<'a> {
    /// The elements of a JSON array, given as its text.
    pub(in crate::engine) const fn of(array: &'a str) -> Self {
        Self { text: array, at: 1 }
    }

    /// The next element; `buffer` holds its text if that had escapes.
    pub(in crate::engine) fn next<'b>(&mut self, buffer: &'b mut String) -> Option<View<'b>>
    where
        'a: 'b,
    {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\r' | b'\t' | b',') = bytes.get(self.at) {
            self.at += 1;
        }
        let start = self.at;
        let view = match bytes.get(start)? {
            b']' => return None,
            b'"' => {
                self.skip_string();
                return Some(text(self.text, start + 1, self.at - 1, buffer));
            }
            b'{' | b'[' => {
                self.skip_container();
                View::Object
            }
            first => {
                let rest = bytes.get(start..)?;
                let ends = |byte: &u8| matches!(byte, b',' | b']' | b' ' | b'\n' | b'\r' | b'\t');
                let length = rest.iter().position(ends).unwrap_or(rest.len());
                self.at += length;
                match first {
                    b'n' => View::Null,
                    b't' => View::Bool(true),
                    b'f' => View::Bool(false),
                    _ => View::Number(self.text.get(start..self.at)?),
                }
            }
        };
        Some(view)
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            self.at += 1;
            match byte {
                b'"' => return,
                b'\\' => self.at += 1,
                _ => {}
            }
        }
    }

    fn skip_container(&mut self) {
        let mut open = 0_usize;
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'"' => {
                    self.skip_string();
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return;
            }
        }
    }
}

fn text<'b, 'a: 'b>(text: &'a str, start: usize, end: usize, buffer: &'b mut String) -> View<'b> {
    let raw = text.get(start..end).unwrap_or_default();
    if !raw.contains('\\') {
        return View::Text(raw);
    }
    buffer.clear();
    unescape(raw.as_bytes(), buffer);
    View::Text(buffer)
}
