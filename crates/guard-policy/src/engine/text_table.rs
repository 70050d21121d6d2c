//! Short texts by hash, in one small table with open addressing: most lookups compare a few numbers.

use std::collections::BTreeMap;

/// What most texts are told apart by: length, the first eight bytes and the last eight. With its hash, since one text is
/// looked up in several tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TextWords {
    length: u32,
    /// With zeros after the end of a shorter text.
    first: u64,
    /// Zero for a text of up to eight bytes.
    last: u64,
    hash: u64,
}

impl TextWords {
    /// The words of a text.
    #[inline]
    pub(super) fn of(text: &[u8]) -> Self {
        let word = |bytes: Option<&[u8; 8]>| u64::from_le_bytes(*bytes.unwrap_or(&[0; 8]));
        match text.first_chunk() {
            Some(first) => Self::within(text.len(), word(Some(first)), word(text.last_chunk())),
            None => Self::within(text.len(), short_word(text), 0),
        }
    }

    /// The words of a text of this length within a longer one: the eight bytes from its beginning on, and those up to its
    /// end.
    #[inline(always)]
    pub(super) fn within(length: usize, first: u64, last: u64) -> Self {
        let first = if length < 8 {
            first & mask(length)
        } else {
            first
        };
        let last = if length > 8 { last } else { 0 };
        let mixed = first ^ last.rotate_left(17) ^ ((length as u64) << 56);
        Self {
            length: u32::try_from(length).unwrap_or(u32::MAX),
            first,
            last,
            // Times 2^64 over the golden ratio (Knuth, The Art of Computer Programming 3, 6.4): the highest bits, which are
            // used, depend on all others.
            hash: mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        }
    }

    /// Whether both are of one text, if that is short.
    #[inline(always)]
    const fn is_same(self, other: Self) -> bool {
        self.first == other.first && self.last == other.last && self.length == other.length
    }

    /// Whether the text begins with the bytes of a word, so many of them, up to eight.
    #[inline]
    pub(super) fn begins_with(self, length: usize, word: u64) -> bool {
        let first = if length < 8 {
            self.first & mask(length)
        } else {
            self.first
        };
        self.length as usize >= length && first == word
    }

    /// The first eight bytes, with zeros after the end of a shorter text.
    pub(super) const fn first(self) -> u64 {
        self.first
    }
}

/// The lowest bytes of a word, up to seven.
const fn mask(bytes: usize) -> u64 {
    (1 << ((bytes % 8) * 8)) - 1
}

/// Up to seven bytes as a word: two halves that may overlap.
#[inline]
fn short_word(text: &[u8]) -> u64 {
    let half = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return half(first) | (half(last) << ((text.len() - 4) * 8));
    }
    text.iter()
        .rev()
        .fold(0, |word, byte| (word << 8) | u64::from(*byte))
}

/// Texts and a number for each.
#[derive(Debug, Default)]
pub(super) struct TextTable {
    entries: Vec<Entry>,
    /// How far a hash is shifted to become an index.
    shift: u32,
    /// The texts that their words do not tell apart from all others, by number.
    long: BTreeMap<u32, Box<[u8]>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    words: TextWords,
    /// [`NOTHING`] in an empty place.
    number: u32,
}

const NOTHING: u32 = u32::MAX;
/// Texts up to this length are known by their words.
pub(super) const SHORT: usize = 16;

impl TextTable {
    /// A table of texts, which are distinct, as are the numbers of long ones.
    pub(super) fn new<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = (T, u32)>) -> Self {
        let texts: Vec<_> = texts.into_iter().collect();
        if texts.is_empty() {
            return Self::default();
        }
        let empty = Entry {
            words: TextWords::of(b""),
            number: NOTHING,
        };
        // At most half full, so that a search ends soon.
        let size = (texts.len() * 2).next_power_of_two();
        let mut table = Self {
            entries: vec![empty; size],
            shift: u64::BITS - size.trailing_zeros(),
            long: BTreeMap::new(),
        };
        for (text, number) in texts {
            table.insert(text.as_ref(), number);
        }
        table
    }

    fn insert(&mut self, text: &[u8], number: u32) {
        let words = TextWords::of(text);
        let mut at = self.first(words);
        while self
            .entries
            .get(at)
            .is_some_and(|entry| entry.number != NOTHING)
        {
            at = self.next(at);
        }
        if let Some(entry) = self.entries.get_mut(at) {
            *entry = Entry { words, number };
        }
        if text.len() > SHORT {
            self.long.insert(number, text.into());
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of a text, whose words are these. The text itself is asked for only if it is long.
    #[inline(always)]
    pub(super) fn find<'a>(&self, words: TextWords, text: impl Fn() -> &'a [u8]) -> Option<u32> {
        let mut at = self.first(words);
        loop {
            let entry = self.entries.get(at)?;
            if entry.number == NOTHING {
                return None;
            }
            let is_long = words.length as usize > SHORT;
            if entry.words.is_same(words) && (!is_long || self.is_long(entry.number, text())) {
                return Some(entry.number);
            }
            at = self.next(at);
        }
    }

    /// The number of a text.
    #[inline]
    pub(super) fn get(&self, text: &[u8]) -> Option<u32> {
        self.find(TextWords::of(text), || text)
    }

    fn is_long(&self, number: u32, text: &[u8]) -> bool {
        self.long.get(&number).is_some_and(|known| **known == *text)
    }

    #[inline]
    fn first(&self, words: TextWords) -> usize {
        // A table that is empty shifts by nothing, and finds nothing there.
        (words.hash >> self.shift) as usize
    }

    #[inline]
    const fn next(&self, at: usize) -> usize {
        (at + 1) & (self.entries.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_found_and_no_other() {
        let long = |i: u32| format!("a text of many bytes {i:05} of which the middle differs");
        let texts: Vec<String> = (0..2000)
            .map(|i| match i % 3 {
                0 => format!("{i}"),
                1 => format!("user-name-{i}"),
                _ => long(i),
            })
            .collect();
        let table = TextTable::new(texts.iter().zip(0..));
        for (text, number) in texts.iter().zip(0..) {
            assert_eq!(table.get(text.as_bytes()), Some(number), "{text}");
        }
        for other in ["", "1x", "user-name-", "user-name-2", &long(0)] {
            assert_eq!(table.get(other.as_bytes()), None, "{other}");
        }
        assert_eq!(TextTable::default().get(b"a"), None);
        assert_eq!(TextTable::new([("", 5)]).get(b""), Some(5));
    }

    #[test]
    fn words_are_the_same_wherever_the_text_stands() {
        let text = b"abcdefghijklmnopqrstuvwxyz";
        for start in 0..9 {
            for end in start..text.len() - 8 {
                let words = TextWords::of(&text[start..end]);
                let word = |at: usize| u64::from_le_bytes(text[at..at + 8].try_into().unwrap());
                let within = TextWords::within(end - start, word(start), word(end.max(8) - 8));
                assert_eq!(words, within, "{start}..{end}");
            }
        }
    }
}
