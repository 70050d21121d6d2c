//! Numbers as JSON has them.

use serde_json::Number;

/// The largest whole number of which JSON can be sure everywhere: 2^53.
pub(crate) const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// A whole number from 0 to [`MAX_WHOLE`]; JSON has `231.0` for the same as `231`.
pub(crate) fn whole(number: &Number) -> Option<u64> {
    let found = number.as_f64()?;
    let is_whole = (0.0..=MAX_WHOLE).contains(&found) && found.fract() == 0.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is whole and in these bounds"
    )]
    is_whole.then_some(found as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        let read = |text| whole(&serde_json::from_str(text).unwrap());
        for text in ["20", "20.0", "2e1", "200e-1"] {
            assert_eq!(read(text), Some(20), "{text}");
        }
        assert_eq!(read("-0.0"), Some(0));
        assert_eq!(read("9007199254740992"), Some(1 << 53));
        for text in ["20.5", "-1", "1e300", "9007199254740994"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
