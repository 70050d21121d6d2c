//! Numbers of few digits as one integer, so that comparing them is one comparison.

use super::Number;

/// How many significant digits a short number has at most: ten to this power fits 64 bits.
const MAX_DIGITS: u32 = 19;
/// Added to a power of ten so that it is positive.
const BIAS: i64 = 1 << 40;
/// The largest power of ten, either way, of a short number.
const MAX_POWER: i64 = BIAS - 1;

/// A number whose order and equality are those of an integer.
///
/// The integer holds the sign, the power of ten of the first digit and then the digits, as if written with all places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ShortNumber(i128);

impl ShortNumber {
    /// Less than all others.
    pub(crate) const MIN: Self = Self(i128::MIN);
    /// More than all others.
    pub(crate) const MAX: Self = Self(i128::MAX);

    /// Nothing is between it and this one.
    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Nothing is between this one and it.
    pub(crate) const fn previous(self) -> Self {
        Self(self.0 - 1)
    }

    /// A number of a rule; `None` if it is not short.
    pub(crate) fn of(number: &Number) -> Option<Self> {
        Self::parse(&number.to_string())
    }

    /// The value of the text of a JSON number, which must be well-formed; `None` if it has more than 19 significant digits
    /// or an enormous exponent.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (negative, unsigned) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, bytes),
        };
        let mut mantissa = Mantissa::default();
        let mut rest = unsigned.iter();
        let mut exponent = 0;
        for byte in rest.by_ref() {
            match byte {
                b'.' => mantissa.in_fraction = true,
                b'e' | b'E' => {
                    exponent = parse_exponent(rest.as_slice())?;
                    break;
                }
                digit => mantissa.push(digit & 0x0f)?,
            }
        }
        if mantissa.count == 0 {
            return Some(Self(0));
        }
        let power = i64::from(mantissa.count) - 1 + mantissa.shift + exponent;
        if !(-MAX_POWER..=MAX_POWER).contains(&power) {
            return None;
        }
        let digits = mantissa.digits * 10_u64.pow(MAX_DIGITS - mantissa.count);
        let magnitude = (i128::from(power + BIAS) << 64) | i128::from(digits);
        Some(Self(if negative { -magnitude } else { magnitude }))
    }
}

/// The digits read so far.
#[derive(Default)]
struct Mantissa {
    digits: u64,
    /// How many significant ones there are.
    count: u32,
    /// The power of ten of the last one kept.
    shift: i64,
    in_fraction: bool,
}

impl Mantissa {
    /// Takes another digit; `None` if it is one too many.
    fn push(&mut self, digit: u8) -> Option<()> {
        let leading_zero = self.count == 0 && digit == 0;
        if leading_zero || self.count < MAX_DIGITS {
            if !leading_zero {
                self.digits = self.digits * 10 + u64::from(digit);
                self.count += 1;
            }
            self.shift -= i64::from(self.in_fraction);
            return Some(());
        }
        // Zeros beyond the last place change nothing but the power.
        self.shift += i64::from(!self.in_fraction);
        (digit == 0).then_some(())
    }
}

fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let mut value = 0_i64;
    for digit in digits {
        value = value
            .checked_mul(10)?
            .checked_add(i64::from(digit & 0x0f))
            .filter(|value| *value <= MAX_POWER)?;
    }
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn short_numbers_are_ordered_by_value(
            a in r"-?(0|[1-9][0-9]{0,12})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?",
            b in r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        ) {
            let short = (ShortNumber::parse(&a), ShortNumber::parse(&b));
            if let (Some(x), Some(y)) = short {
                prop_assert_eq!(x.cmp(&y), Number::parse(&a).cmp(&Number::parse(&b)), "{} {}", a, b);
            }
            prop_assert!(short.1.is_some());
        }
    }

    #[test]
    fn only_significant_digits_count() {
        let short = |text: &str| ShortNumber::parse(text);
        assert_eq!(short("0.00000000000000000000000000010"), short("1e-28"));
        assert_eq!(short("10000000000000000000000000000.000"), short("1e28"));
        assert_eq!(short("-0.0e5"), short("0"));
        assert!(short("-1.5") < short("-1.25"));
        assert_eq!(
            short("12345678901234567890"),
            short("1.234567890123456789e19")
        );
        assert_eq!(short("12345678901234567891"), None);
        assert_eq!(short("1e99999999999999"), None);
        assert_eq!(short("0.12345678901234567891"), None);
    }
}
