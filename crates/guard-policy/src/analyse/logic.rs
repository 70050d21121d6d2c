//! When one fact follows from another, and when two cannot be at once. Sound, not complete: where it is not sure, it says no.

use std::borrow::Cow;

use guard_domain::Operator;

use super::fact::Fact;
use crate::document::Value;
use crate::matcher::Check;
use crate::matcher::predicate::{Predicate, Scalar};
use crate::number::Number;

/// Whether the second holds wherever the first does.
pub(super) fn implies(first: &Fact, second: &Fact) -> bool {
    if first.field() != second.field() {
        return false;
    }
    match (first.negated, second.negated) {
        (false, false) => passing(first, second),
        // A test that implies another fails wherever that one fails.
        (true, true) => passing(second, first),
        _ => false,
    }
}

/// Whether both can never hold of one event.
pub(super) fn exclude(first: &Fact, second: &Fact) -> bool {
    if first.field() != second.field() {
        return false;
    }
    match (first.negated, second.negated) {
        (false, true) => passing(first, second),
        (true, false) => passing(second, first),
        (false, false) => {
            let one_value = first.is_single() || (first.is_all() && second.is_all());
            one_value && are_apart(first, second)
        }
        (true, true) => false,
    }
}

/// Whether no single value passes both tests, so that both hold only of an array.
pub(super) fn exclude_in_one_value(first: &Fact, second: &Fact) -> bool {
    let both_hold = !first.negated && !second.negated;
    both_hold && first.field() == second.field() && are_apart(first, second)
}

/// Whether a test never passes.
pub(super) fn is_impossible(fact: &Fact) -> bool {
    match fact.predicate() {
        Some(Predicate::OneOf { scalars, .. }) => scalars.is_empty(),
        Some(Predicate::Cidr(networks)) => networks.is_empty(),
        _ => false,
    }
}

/// Whether the test of the second passes wherever that of the first does; negations are left aside.
fn passing(first: &Fact, second: &Fact) -> bool {
    match (&first.matcher.check, &second.matcher.check) {
        (_, Check::Exists) => true,
        (
            Check::Field {
                operator,
                other,
                ignore_case,
            },
            Check::Field {
                operator: same_operator,
                other: same_other,
                ignore_case: same_case,
            },
        ) => {
            (operator, other, ignore_case) == (same_operator, same_other, same_case)
                && first.matcher.quantifier == second.matcher.quantifier
        }
        (Check::Value(first_predicate), Check::Value(second_predicate)) => {
            // Where all elements pass there is one, so that some do.
            let quantifiers = first.is_all() || !second.is_all();
            quantifiers && (is_same(first, second) || is_within(first_predicate, second_predicate))
        }
        _ => false,
    }
}

/// Whether they test the same, whatever their quantifier: a pattern is within no other one but itself.
fn is_same(first: &Fact, second: &Fact) -> bool {
    let asked = |fact: &Fact| (fact.test.operator, fact.test.ignore_case);
    asked(first) == asked(second) && first.test.operand == second.test.operand
}

/// Whether each value that passes the first passes the second.
fn is_within(first: &Predicate, second: &Predicate) -> bool {
    match (first, second) {
        (
            Predicate::Contains {
                scalar: a,
                ignore_case: x,
            },
            Predicate::Contains {
                scalar: b,
                ignore_case: y,
            },
        ) => a == b && x == y,
        // What it looks for differs between a text and an element.
        (Predicate::Contains { .. }, _) | (_, Predicate::Contains { .. }) => false,
        (
            Predicate::OneOf {
                scalars,
                ignore_case: false,
            },
            _,
        ) => scalars.iter().all(|scalar| accepts(second, scalar)),
        (
            Predicate::OneOf { scalars: a, .. },
            Predicate::OneOf {
                scalars: b,
                ignore_case: true,
            },
        ) => a.iter().all(|scalar| b.contains(scalar)),
        (Predicate::Prefix(a), Predicate::Prefix(b)) => {
            a.ignore_case == b.ignore_case && a.text.starts_with(&b.text)
        }
        (Predicate::Suffix(a), Predicate::Suffix(b)) => {
            a.ignore_case == b.ignore_case && a.text.ends_with(&b.text)
        }
        (Predicate::Cidr(a), Predicate::Cidr(b)) => a
            .iter()
            .all(|inner| b.iter().any(|outer| outer.contains(inner))),
        _ => match (Range::of(first), Range::of(second)) {
            (Some(first), Some(second)) => second.contains(&first),
            _ => false,
        },
    }
}

/// Whether no value passes both.
fn are_apart(first: &Fact, second: &Fact) -> bool {
    let (Some(first), Some(second)) = (first.predicate(), second.predicate()) else {
        return false;
    };
    match (first, second) {
        (Predicate::Contains { .. }, _) | (_, Predicate::Contains { .. }) => false,
        (
            Predicate::OneOf {
                scalars,
                ignore_case: false,
            },
            other,
        )
        | (
            other,
            Predicate::OneOf {
                scalars,
                ignore_case: false,
            },
        ) => scalars.iter().all(|scalar| !accepts(other, scalar)),
        (Predicate::Prefix(a), Predicate::Prefix(b)) => {
            let same_case = !a.ignore_case && !b.ignore_case;
            same_case && !a.text.starts_with(&b.text) && !b.text.starts_with(&a.text)
        }
        (Predicate::Suffix(a), Predicate::Suffix(b)) => {
            let same_case = !a.ignore_case && !b.ignore_case;
            same_case && !a.text.ends_with(&b.text) && !b.text.ends_with(&a.text)
        }
        _ => match (Range::of(first), Range::of(second)) {
            (Some(first), Some(second)) => first.is_apart(&second),
            // A number is no text.
            (Some(_), None) | (None, Some(_)) => !matches!(
                (first, second),
                (Predicate::OneOf { .. }, _) | (_, Predicate::OneOf { .. })
            ),
            (None, None) => false,
        },
    }
}

fn accepts(predicate: &Predicate, scalar: &Scalar) -> bool {
    match scalar {
        Scalar::Null => predicate.accepts(&Value::Null),
        Scalar::Bool(value) => predicate.accepts(&Value::Bool(*value)),
        Scalar::Number(number) => predicate.accepts(&Value::Number(&number.to_string())),
        Scalar::String(text) => predicate.accepts(&Value::String(Cow::Borrowed(text))),
    }
}

/// The numbers that pass: each end is a number and whether it is outside itself.
struct Range<'a> {
    low: Option<(&'a Number, bool)>,
    high: Option<(&'a Number, bool)>,
}

impl<'a> Range<'a> {
    fn of(predicate: &'a Predicate) -> Option<Self> {
        let (low, high) = match predicate {
            Predicate::Order(Operator::Gt, bound) => (Some((bound, true)), None),
            Predicate::Order(Operator::Gte, bound) => (Some((bound, false)), None),
            Predicate::Order(Operator::Lt, bound) => (None, Some((bound, true))),
            Predicate::Order(Operator::Lte, bound) => (None, Some((bound, false))),
            Predicate::Between(low, high) => (Some((low, false)), Some((high, false))),
            _ => return None,
        };
        Some(Self { low, high })
    }

    fn contains(&self, inner: &Self) -> bool {
        let low = match (self.low, inner.low) {
            (None, _) => true,
            (Some(_), None) => false,
            // An end that is inside lies below the same one that is outside.
            (Some(mine), Some(theirs)) => mine <= theirs,
        };
        let high = match (self.high, inner.high) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((mine, outside)), Some((theirs, theirs_outside))) => {
                theirs < mine || (theirs == mine && (!outside || theirs_outside))
            }
        };
        low && high
    }

    fn is_apart(&self, other: &Self) -> bool {
        let ends_before = |high: Option<(&Number, bool)>, low: Option<(&Number, bool)>| {
            high.zip(low)
                .is_some_and(|((high, no_high), (low, no_low))| {
                    high < low || (high == low && (no_high || no_low))
                })
        };
        ends_before(self.high, other.low) || ends_before(other.high, self.low)
    }
}
