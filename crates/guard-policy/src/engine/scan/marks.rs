//! Where strings may end: found for the whole event before it is read.
//!
//! A string ends at the next quote, unless an escape or a control character comes before it. Looking for these byte by byte
//! would leave the loop at another length each time, which processors predict badly; one bit per byte of the event, made
//! without branches, tells with two instructions. (The first stage of simdjson does the same: Langdale and Lemire, Parsing
//! gigabytes of JSON per second, 2019.)

const SIZE: usize = u64::BITS as usize;

/// One bit for each byte that is a quote, a backslash or a control character, and some beyond the end of the event.
#[derive(Debug, Default)]
pub(in crate::engine) struct Marks(Vec<u64>);

impl Marks {
    /// Marks an event.
    pub(super) fn set(&mut self, event: &[u8]) {
        let (blocks, rest) = event.as_chunks();
        self.0.clear();
        self.0.extend(blocks.iter().map(marks));
        // The zeros after the end are control characters.
        let mut last = [0; SIZE];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.0.push(marks(&last));
    }

    /// The first marked byte from an offset on; the end of the event, or something beyond it, if there is none.
    #[inline(always)]
    pub(super) fn next(&self, from: usize) -> usize {
        let bits = self.0.get(from / SIZE).copied().unwrap_or(u64::MAX) >> (from % SIZE);
        if bits != 0 {
            return from + bits.trailing_zeros() as usize;
        }
        self.next_word(from / SIZE + 1)
    }

    fn next_word(&self, first: usize) -> usize {
        let later = self.0.get(first..).unwrap_or_default();
        let words = later.iter().zip(first..);
        let mut marked = words.filter(|(bits, _)| **bits != 0);
        marked.next().map_or(usize::MAX, |(bits, word)| {
            word * SIZE + bits.trailing_zeros() as usize
        })
    }
}

#[inline]
fn marks(block: &[u8; SIZE]) -> u64 {
    // In this form compilers make vector instructions of it.
    let mut special = [0_u8; SIZE];
    for (special, byte) in special.iter_mut().zip(block) {
        *special = u8::from((*byte == b'"') | (*byte == b'\\') | (*byte < b' '));
    }
    let (words, _) = special.as_chunks();
    // The product moves the lowest bits of the eight bytes of a word into its highest byte.
    let gather =
        |word: &[u8; 8]| u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    words
        .iter()
        .rev()
        .fold(0, |bits, word| (bits << 8) | gather(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_special_byte_is_marked_at_each_offset() {
        let mut marks = Marks::default();
        for offset in 0..150 {
            for byte in [
                0, 0x1f, b' ', b'!', b'"', b'#', b'[', b'\\', b']', 0x7f, 0x80, 0xff,
            ] {
                let mut event = [b'a'; 150];
                event[offset] = byte;
                marks.set(&event);
                let special = byte < b' ' || byte == b'"' || byte == b'\\';
                let expected = if special { offset } else { event.len() };
                assert_eq!(marks.next(0), expected, "{byte} at {offset}");
                assert_eq!(marks.next(offset), expected);
                assert_eq!(marks.next(offset + 1), event.len());
            }
        }
        assert_eq!(marks.next(1000), 1000);
    }
}
