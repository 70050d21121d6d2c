//! What the tests of a column look for.

use guard_domain::Operator;
use rustc_hash::FxHashMap;

use super::intervals::Bounds;
use crate::engine::check::Term;
use crate::matcher::Check;
use crate::matcher::predicate::{Predicate, Scalar};
use crate::number::Number;

/// The values that tests look for, and the clauses that look for each.
pub(super) fn scalars<'a>(tests: &[(u32, &'a Term)]) -> FxHashMap<&'a Scalar, Vec<u32>> {
    let mut found: FxHashMap<&Scalar, Vec<u32>> = FxHashMap::default();
    for (clause, term) in tests {
        let wanted = match &term.matcher.check {
            Check::Value(Predicate::OneOf { scalars, .. }) => scalars.as_slice(),
            Check::Value(Predicate::Contains { scalar, .. }) => std::slice::from_ref(scalar),
            _ => &[],
        };
        for scalar in wanted {
            found.entry(scalar).or_default().push(*clause);
        }
    }
    found
}

/// The texts that tests look for at an end, and the clauses that look for each.
pub(super) fn texts<'a>(tests: &[(u32, &'a Term)]) -> FxHashMap<&'a str, Vec<u32>> {
    let mut found: FxHashMap<&str, Vec<u32>> = FxHashMap::default();
    for (clause, term) in tests {
        if let Check::Value(Predicate::Prefix(text) | Predicate::Suffix(text)) = &term.matcher.check
        {
            found.entry(&text.text).or_default().push(*clause);
        }
    }
    found
}

/// The ranges of numbers that tests ask for.
pub(super) fn ranges<'a>(tests: &[(u32, &'a Term)]) -> Vec<(u32, Bounds<&'a Number>)> {
    let bounds = |term: &'a Term| match &term.matcher.check {
        Check::Value(Predicate::Order(operator, bound)) => Some(match operator {
            Operator::Gt => Bounds::above(bound),
            Operator::Gte => Bounds::from(bound),
            Operator::Lt => Bounds::below(bound),
            _ => Bounds::up_to(bound),
        }),
        Check::Value(Predicate::Between(low, high)) => Some(Bounds::between(low, high)),
        _ => None,
    };
    let found = tests
        .iter()
        .filter_map(|(clause, term)| Some((*clause, bounds(term)?)));
    found.collect()
}
