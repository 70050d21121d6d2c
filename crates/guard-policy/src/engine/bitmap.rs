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

/// The set of the bits whose value is chosen, of so many.
pub(super) fn collect<T>(
    bits: usize,
    values: impl Iterator<Item = (u32, T)>,
    chosen: impl Fn(T) -> bool,
) -> Vec<u64> {
    let mut set = vec![0; words(bits)];
    for (bit, value) in values {
        if chosen(value) {
            insert(&mut set, bit);
        }
    }
    set
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
        let bits: Vec<_> = (0..200).filter(|bit| contains(&set, *bit)).collect();
        assert_eq!(bits, [0, 64, 65, 129]);
        assert_eq!(bits_of(set[1], 64).collect::<Vec<_>>(), [64, 65]);
        assert_eq!(
            collect(130, (0..130).map(|bit| (bit, bit)), |bit| bits
                .contains(&bit)),
            set
        );
        assert!(contains(&set, 129) && !contains(&set, 63) && !contains(&set, 1000));
    }
}
