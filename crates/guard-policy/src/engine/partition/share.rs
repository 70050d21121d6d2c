//! Which share of events a test passes, as far as the rules themselves tell: no statistics of events are kept. What many
//! rules look for is taken to be frequent.

use std::hash::Hash;

use ipnet::IpNet;
use rustc_hash::FxHashMap;

use crate::engine::check::Term;
use crate::engine::clause::Tree;
use crate::engine::column::Family;
use crate::matcher::Check;
use crate::matcher::predicate::{Predicate, Scalar};

/// What the tests of a family look for, and how many of them look for each.
#[derive(Debug, Default)]
pub(super) struct Popularity<'a> {
    wanted: FxHashMap<Wanted<'a>, u32>,
    tests: u32,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Wanted<'a> {
    Scalar(&'a Scalar),
    Text(&'a str),
    Network(&'a IpNet),
}

impl<'a> Popularity<'a> {
    pub(super) fn of(tests: &[(u32, &'a Term)]) -> Self {
        let mut popularity = Self::default();
        for (_, term) in tests {
            each_wanted(term, |wanted| {
                *popularity.wanted.entry(wanted).or_default() += 1;
            });
            popularity.tests += 1;
        }
        popularity
    }

    /// The share of events that pass one of the tests, from 0 to 1, in a partition of so many clauses.
    pub(super) fn share(&self, term: &'a Term, clauses: usize) -> f64 {
        let mut wanted = 0;
        each_wanted(term, |value| {
            wanted += self.wanted.get(&value).copied().unwrap_or(0);
        });
        let passing = match &term.matcher.check {
            Check::Exists => 0.7,
            Check::Value(Predicate::Order(..) | Predicate::Between(..)) => 0.5,
            _ => f64::from(wanted) / f64::from(self.tests.max(1)),
        };
        // A field that few rules look at is seldom there.
        let present = f64::from(self.tests) * 16.0 / clauses as f64;
        passing.min(1.0) * present.min(1.0)
    }
}

fn each_wanted<'a>(term: &'a Term, mut tell: impl FnMut(Wanted<'a>)) {
    let Check::Value(predicate) = &term.matcher.check else {
        return;
    };
    match predicate {
        Predicate::OneOf { scalars, .. } => scalars.iter().map(Wanted::Scalar).for_each(tell),
        Predicate::Contains { scalar, .. } => tell(Wanted::Scalar(scalar)),
        Predicate::Prefix(text) | Predicate::Suffix(text) => tell(Wanted::Text(&text.text)),
        Predicate::Cidr(networks) => networks.iter().map(Wanted::Network).for_each(tell),
        Predicate::Order(..) | Predicate::Between(..) | Predicate::Regex(_) => {}
    }
}

/// Which tests few events pass, of all that must hold in some rule.
pub(in crate::engine) struct Selective<'a> {
    families: FxHashMap<Family, Popularity<'a>>,
    rules: usize,
}

/// A test is selective if at most this share of events passes it.
const SELECTIVE: f64 = 0.02;

impl<'a> Selective<'a> {
    pub(in crate::engine) fn of(trees: impl Iterator<Item = &'a Tree>) -> Self {
        let mut tests: FxHashMap<Family, Vec<(u32, &Term)>> = FxHashMap::default();
        let mut rules = 0;
        for tree in trees {
            rules += 1;
            tree.plain(&mut |term| {
                if let Some(family) = Family::of(term) {
                    tests.entry(family).or_default().push((0, term));
                }
            });
        }
        let families = tests.into_iter();
        let families = families.map(|(family, tests)| (family, Popularity::of(&tests)));
        Self {
            families: families.collect(),
            rules,
        }
    }

    /// Whether one of the tests that must hold is selective.
    pub(in crate::engine) fn has_gate(&self, tree: &'a Tree) -> bool {
        let mut has_gate = false;
        tree.plain(&mut |term| {
            let family = Family::of(term).filter(|_| !term.negated);
            let popularity = family.and_then(|family| self.families.get(&family));
            has_gate |= popularity.is_some_and(|known| known.share(term, self.rules) <= SELECTIVE);
        });
        has_gate
    }
}
