//! Numbers compared exactly by value, from their text.
//!
//! A number is its sign, its significant digits and the power of ten of the first of them; it is never expanded and never
//! becomes a double, so `1`, `1.0` and `1e0` are equal, 2^53 + 1 is not 2^53, and `1e999999999` costs nothing. Powers of ten
//! beyond ±10^37 count as ±10^37.

mod short;
mod text;

use std::cmp::Ordering;
use std::fmt;

pub(crate) use short::ShortNumber;
pub(crate) use text::NumberView;

/// The largest power of ten that is told apart from larger ones.
const MAX_POWER: i128 = 10_i128.pow(37);

/// A number's value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Number {
    negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: String,
    /// The power of ten of the first digit; 0 for zero.
    power: i128,
}

impl Number {
    /// The value of the text of a JSON number, which must be well-formed.
    pub(crate) fn parse(text: &str) -> Self {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all: String = [whole, fraction].concat();
        let leading_zeros = all.len() - all.trim_start_matches('0').len();
        let digits = all.trim_matches('0').to_owned();
        if digits.is_empty() {
            return Self {
                negative: false,
                digits,
                power: 0,
            };
        }
        let place = i128::try_from(whole.len()).unwrap_or(MAX_POWER)
            - i128::try_from(leading_zeros).unwrap_or(MAX_POWER)
            - 1;
        let power = (parse_exponent(exponent) + place).clamp(-MAX_POWER, MAX_POWER);
        Self {
            negative,
            digits,
            power,
        }
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }
}

fn parse_exponent(text: &str) -> i128 {
    let saturated = if text.starts_with('-') {
        -MAX_POWER
    } else {
        MAX_POWER
    };
    text.parse()
        .unwrap_or(saturated)
        .clamp(-MAX_POWER, MAX_POWER)
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let magnitude = || {
            // Digits have no zeros at the end, so that text order is value order.
            self.power
                .cmp(&other.power)
                .then_with(|| self.digits.cmp(&other.digits))
        };
        match (self.sign(), other.sign()) {
            (1, 1) => magnitude(),
            (-1, -1) => magnitude().reverse(),
            (mine, theirs) => mine.cmp(&theirs),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One text for each value: equal numbers are written alike.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        let sign = if self.negative { "-" } else { "" };
        write!(f, "{sign}0.{}e{}", self.digits, self.power + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(left: &str, expected: Ordering, right: &str) {
        assert_eq!(
            Number::parse(left).cmp(&Number::parse(right)),
            expected,
            "{left} {right}"
        );
        assert_eq!(
            Number::parse(right).cmp(&Number::parse(left)),
            expected.reverse()
        );
    }

    #[test]
    fn numbers_compare_by_value() {
        for same in ["1", "1.0", "1e0", "10e-1", "0.1e1", "0.001E+3", "1.000"] {
            check(same, Ordering::Equal, "1");
        }
        for zero in ["0", "-0", "0.0", "0e99", "-0.000e-5"] {
            check(zero, Ordering::Equal, "0");
        }
        check("9007199254740993", Ordering::Greater, "9007199254740992");
        check(
            "0.1",
            Ordering::Less,
            "0.1000000000000000055511151231257827",
        );
        check("-2", Ordering::Less, "-1");
        check("-1", Ordering::Less, "0");
        check("99", Ordering::Less, "1e2");
        check("1.5", Ordering::Greater, "1.05");
        check("1e999999999", Ordering::Greater, "9e999999998");
        check("1e-999999999", Ordering::Greater, "0");
        check(
            "1e99999999999999999999999999999999999999999",
            Ordering::Greater,
            "1e10",
        );
        check(
            "1e-99999999999999999999999999999999999999999",
            Ordering::Less,
            "1e-10",
        );
    }

    proptest! {
        #[test]
        fn integers_agree_with_i128(a in any::<i64>(), b in any::<i64>(), shift in 0_usize..20) {
            let padded = format!("{a}.{}", "0".repeat(shift + 1));
            check(&padded, a.cmp(&b), &b.to_string());
            let scaled = format!("{b}{}e-{shift}", "0".repeat(shift));
            check(&a.to_string(), a.cmp(&b), &scaled);
        }

        #[test]
        fn equal_numbers_are_written_alike(a in any::<i64>(), shift in 0_usize..20) {
            let scaled = Number::parse(&format!("{a}{}e-{shift}", "0".repeat(shift)));
            prop_assert_eq!(scaled.to_string(), Number::parse(&a.to_string()).to_string());
        }
    }
}
