//! Numbers of any length, compared where they stand: nothing is copied.

use std::cmp::Ordering;

use super::{MAX_POWER, Number, parse_exponent};

/// The value of a number's text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NumberView<'a> {
    negative: bool,
    /// The power of ten of the first digit.
    power: i128,
    /// The digits without zeros at either end, in two parts.
    digits: [&'a str; 2],
}

impl<'a> NumberView<'a> {
    /// The value of the text of a JSON number, which must be well-formed.
    pub(crate) fn parse(text: &'a str) -> Self {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let (digits, place) = if whole.is_empty() {
            let significant = fraction.trim_start_matches('0');
            let zeros = fraction.len() - significant.len();
            (["", significant], -length(zeros) - 1)
        } else if fraction.is_empty() {
            ([whole.trim_end_matches('0'), ""], length(whole.len()) - 1)
        } else {
            ([whole, fraction], length(whole.len()) - 1)
        };
        if digits == ["", ""] {
            return Self {
                negative: false,
                power: 0,
                digits,
            };
        }
        Self {
            negative: text.starts_with('-'),
            power: (parse_exponent(exponent) + place).clamp(-MAX_POWER, MAX_POWER),
            digits,
        }
    }

    fn sign(self) -> i8 {
        match (self.digits, self.negative) {
            (["", ""], _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        }
    }

    fn all_digits(self) -> impl Iterator<Item = u8> + 'a {
        let [first, second] = self.digits;
        first.bytes().chain(second.bytes())
    }

    /// Compares the two by value.
    pub(crate) fn compare(self, other: Self) -> Ordering {
        let magnitude = || {
            let digits = || self.all_digits().cmp(other.all_digits());
            self.power.cmp(&other.power).then_with(digits)
        };
        match (self.sign(), other.sign()) {
            (1, 1) => magnitude(),
            (-1, -1) => magnitude().reverse(),
            (mine, theirs) => mine.cmp(&theirs),
        }
    }
}

impl Number {
    /// The number, for comparing it with one that stands in a text.
    pub(crate) fn view(&self) -> NumberView<'_> {
        NumberView {
            negative: self.negative,
            power: self.power,
            digits: [&self.digits, ""],
        }
    }
}

fn length(count: usize) -> i128 {
    i128::try_from(count).unwrap_or(MAX_POWER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NUMBER: &str = r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,45})?";

    proptest! {
        #[test]
        fn views_compare_as_numbers_do(a in NUMBER, b in NUMBER) {
            let expected = Number::parse(&a).cmp(&Number::parse(&b));
            prop_assert_eq!(NumberView::parse(&a).compare(NumberView::parse(&b)), expected);
            prop_assert_eq!(NumberView::parse(&a).compare(Number::parse(&b).view()), expected);
            prop_assert_eq!(NumberView::parse(&a).compare(NumberView::parse(&a)), Ordering::Equal);
        }
    }
}
