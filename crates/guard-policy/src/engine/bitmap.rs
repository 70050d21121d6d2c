//! Sets of small numbers, one bit each.

const BITS: usize = u64::BITS as usize;

/// How many words hold so many bits.
pub(super) const fn words(bits: usize) -> usize {
    bits.div_ceil(BITS)
}

/// The word and the mask of a bit.
pub(super) const fn place(bit: u32) -> (usize, u64) {
    ((bit / u64::BITS) as usize, 1 << (bit % u64::BITS))
}

/// Puts a bit in.
pub(super) fn insert(set: &mut [u64], bit: u32) {
    let (word, mask) = place(bit);
    if let Some(word) = set.get_mut(word) {
        *word |= mask;
    }
}

/// Takes a bit in or out.
pub(super) fn toggle(set: &mut [u64], bit: u32) {
    let (word, mask) = place(bit);
    if let Some(word) = set.get_mut(word) {
        *word ^= mask;
    }
}

/// Whether a bit is in.
pub(super) fn contains(set: &[u64], bit: u32) -> bool {
    let (word, mask) = place(bit);
    set.get(word).is_some_and(|word| word & mask != 0)
}

/// Keeps what both have.
pub(super) fn intersect(set: &mut [u64], with: &[u64]) {
    for (word, with) in set.iter_mut().zip(with) {
        *word &= with;
    }
}

/// Whether more than so many bits are in.
pub(super) fn has_more_than(set: &[u64], count: u32) -> bool {
    let mut left = count;
    set.iter()
        .any(|word| match left.checked_sub(word.count_ones()) {
            Some(fewer) => {
                left = fewer;
                false
            }
            None => true,
        })
}

/// The bits that are in, in ascending order.
pub(super) fn iter(set: &[u64]) -> impl Iterator<Item = u32> + '_ {
    let words = set.iter().zip((0_u32..).step_by(BITS));
    words.flat_map(|(word, first)| bits_of(*word, first))
}

/// The bits of one word, whose lowest is `first`.
pub(super) fn bits_of(mut word: u64, first: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        if word == 0 {
            return None;
        }
        let bit = first + word.trailing_zeros();
        word &= word - 1;
        Some(bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_out_as_they_went_in() {
        let mut set = vec![0; words(130)];
        for bit in [0, 63, 64, 129] {
            insert(&mut set, bit);
        }
        toggle(&mut set, 63);
        toggle(&mut set, 65);
        assert_eq!(iter(&set).collect::<Vec<_>>(), [0, 64, 65, 129]);
        assert!(has_more_than(&set, 3) && !has_more_than(&set, 4));
        assert!(contains(&set, 129) && !contains(&set, 63) && !contains(&set, 1000));
    }
}
