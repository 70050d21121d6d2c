//! Values by the ranges they are in.
//!
//! The bounds of all ranges, sorted, cut the values into intervals within which nothing changes: below the first cut, on it,
//! between it and the second one, and so on.

use std::cmp::Ordering;

use ipnet::IpNet;
use rustc_hash::FxHashMap;

use super::EntryId;
use super::flips::FlipsBuilder;
use crate::engine::check::Term;
use crate::matcher::Check;
use crate::matcher::predicate::Predicate;
use crate::number::{Number, NumberView, ShortNumber};

/// A range of values: each end is a value and whether the value itself is outside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds<T> {
    low: Option<(T, bool)>,
    high: Option<(T, bool)>,
}

impl<T> Bounds<T> {
    pub(super) const fn above(low: T) -> Self {
        Self {
            low: Some((low, true)),
            high: None,
        }
    }

    pub(super) const fn from(low: T) -> Self {
        Self {
            low: Some((low, false)),
            high: None,
        }
    }

    pub(super) const fn below(high: T) -> Self {
        Self {
            low: None,
            high: Some((high, true)),
        }
    }

    pub(super) const fn up_to(high: T) -> Self {
        Self {
            low: None,
            high: Some((high, false)),
        }
    }

    pub(super) const fn between(low: T, high: T) -> Self {
        Self {
            low: Some((low, false)),
            high: Some((high, false)),
        }
    }
}

/// Sorted values at which ranges begin or end.
pub(super) trait Cuts {
    type Value: ?Sized;

    /// How many of them are below a value, and whether it is one of them.
    fn place(&self, value: &Self::Value) -> (usize, bool);
}

impl<T: Ord> Cuts for Vec<T> {
    type Value = T;

    fn place(&self, value: &T) -> (usize, bool) {
        let below = self.partition_point(|cut| cut < value);
        (below, self.get(below) == Some(value))
    }
}

/// An index of ranges.
#[derive(Debug)]
pub(super) struct Intervals<C> {
    cuts: C,
    /// The entry of each interval: twice as many as cuts, and one.
    entries: Vec<EntryId>,
}

impl<C: Cuts> Intervals<C> {
    pub(super) fn find(&self, value: &C::Value) -> Option<EntryId> {
        let (below, on) = self.cuts.place(value);
        self.entries.get(2 * below + usize::from(on)).copied()
    }

    fn new<T: Ord + Clone>(
        ranges: &[(u32, Bounds<T>)],
        flips: &mut FlipsBuilder,
        cuts: impl FnOnce(Vec<T>) -> C,
    ) -> Self {
        let ends = |(_, bounds): &(u32, Bounds<T>)| {
            let ends =
                [&bounds.low, &bounds.high].map(|end| end.as_ref().map(|(value, _)| value.clone()));
            ends.into_iter().flatten()
        };
        let mut values: Vec<T> = ranges.iter().flat_map(ends).collect();
        values.sort_unstable();
        values.dedup();
        let count = 2 * values.len() + 1;
        let changes = changes(ranges, &values, count);
        Self {
            entries: flips.row(&changes),
            cuts: cuts(values),
        }
    }
}

/// For each interval, the clauses that come in or go out where it begins.
fn changes<T: Ord>(ranges: &[(u32, Bounds<T>)], values: &[T], count: usize) -> Vec<Vec<u32>> {
    let place = |value: &T| values.partition_point(|known| known < value);
    // The ranges of a clause, as numbers of intervals: from the first to the one after the last.
    let mut spans: FxHashMap<u32, Vec<(usize, usize)>> = FxHashMap::default();
    for (clause, bounds) in ranges {
        let first = bounds.low.as_ref();
        let first = first.map_or(0, |(value, outside)| {
            2 * place(value) + 1 + usize::from(*outside)
        });
        let end = bounds.high.as_ref();
        let end = end.map_or(count, |(value, outside)| {
            2 * place(value) + 2 - usize::from(*outside)
        });
        if first < end {
            spans.entry(*clause).or_default().push((first, end));
        }
    }
    let mut changes = vec![Vec::new(); count];
    let mut change = |at: usize, clause: u32| {
        if let Some(list) = changes.get_mut(at) {
            list.push(clause);
        }
    };
    for (clause, mut spans) in spans {
        spans.sort_unstable();
        // Ranges that touch or overlap are one.
        let mut open: Option<(usize, usize)> = None;
        for (first, end) in spans {
            open = Some(match open {
                Some((begun, until)) if first <= until => (begun, until.max(end)),
                done => {
                    if let Some((begun, until)) = done {
                        change(begun, clause);
                        change(until, clause);
                    }
                    (first, end)
                }
            });
        }
        if let Some((begun, until)) = open {
            change(begun, clause);
            change(until, clause);
        }
    }
    changes
}

/// Numbers, compared as integers where they are short.
#[derive(Debug)]
pub(super) struct NumberCuts {
    exact: Vec<Number>,
    /// The same ones; empty if one of them is long.
    short: Vec<ShortNumber>,
}

impl Cuts for NumberCuts {
    type Value = str;

    fn place(&self, text: &str) -> (usize, bool) {
        if !self.short.is_empty()
            && let Some(short) = ShortNumber::parse(text)
        {
            return self.short.place(&short);
        }
        let value = NumberView::parse(text);
        let compare = |cut: &Number| cut.view().compare(value);
        let below = self
            .exact
            .partition_point(|cut| compare(cut) == Ordering::Less);
        let on = self
            .exact
            .get(below)
            .is_some_and(|cut| compare(cut).is_eq());
        (below, on)
    }
}

impl Intervals<NumberCuts> {
    pub(super) fn numbers(ranges: &[(u32, Bounds<&Number>)], flips: &mut FlipsBuilder) -> Self {
        Self::new(ranges, flips, |values| {
            let short: Option<Vec<_>> = values
                .iter()
                .map(|number| ShortNumber::of(number))
                .collect();
            NumberCuts {
                short: short.unwrap_or_default(),
                exact: values.into_iter().cloned().collect(),
            }
        })
    }
}

/// The networks that tests name, by the addresses in them.
pub(super) fn networks(
    tests: &[(u32, &Term)],
    flips: &mut FlipsBuilder,
) -> (Intervals<Vec<u32>>, Intervals<Vec<u128>>) {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for (clause, term) in tests {
        let Check::Value(Predicate::Cidr(networks)) = &term.matcher.check else {
            continue;
        };
        for network in networks {
            match network {
                IpNet::V4(network) => {
                    let ends = (network.network().to_bits(), network.broadcast().to_bits());
                    v4.push((*clause, Bounds::between(ends.0, ends.1)));
                }
                IpNet::V6(network) => {
                    let ends = (network.network().to_bits(), network.broadcast().to_bits());
                    v6.push((*clause, Bounds::between(ends.0, ends.1)));
                }
            }
        }
    }
    (
        Intervals::new(&v4, flips, |values| values),
        Intervals::new(&v6, flips, |values| values),
    )
}
