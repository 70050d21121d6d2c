//! Which tests become gates, which become columns, and which are checked on the candidates that are left.
//!
//! All costs are in checks: what it takes to check one test of one candidate.

use std::collections::BTreeMap;

use super::build::Draft;
use super::gates;
use super::share::Popularity;
use crate::engine::bitmap;
use crate::engine::check::Term;
use crate::engine::clause::Clause;
use crate::engine::column::Family;

/// More columns than these are not looked for.
const MAX_COLUMNS: usize = 32;

/// What asking an index costs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Costs {
    /// Asking a gate.
    pub(crate) gate: f64,
    /// Asking a column, without its bitmap.
    pub(crate) column: f64,
    /// Intersecting a word of a bitmap.
    pub(crate) word: f64,
}

impl Costs {
    /// As measured: checking a test of a candidate takes some ten nanoseconds, waiting for memory included.
    pub(crate) const MEASURED: Self = Self {
        gate: 4.0,
        column: 2.0,
        word: 1.0 / 16.0,
    };
}

/// The tests of a family, with their clauses, in the order of these.
pub(super) type Tests<'a> = Vec<(u32, &'a Term)>;

/// A test of a clause.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planned<'a> {
    pub(super) term: &'a Term,
    /// The index that could answer it; `None` if none can.
    pub(super) family: Option<Family>,
    /// The share of events that pass it.
    pub(super) share: f64,
    /// Whether a gate or a column answers it.
    pub(super) is_answered: bool,
}

/// What becomes of the tests of a partition.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// The tests of each clause.
    pub(super) clauses: Vec<Vec<Planned<'a>>>,
    /// The clauses that a gate brings in.
    pub(super) is_gated: Vec<bool>,
    pub(super) gates: BTreeMap<Family, Tests<'a>>,
    pub(super) columns: Vec<(Family, Tests<'a>)>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(drafts: &'a [Draft], costs: Costs) -> Self {
        let mut clauses: Vec<_> = drafts.iter().map(|draft| planned(&draft.clause)).collect();
        let popularity: BTreeMap<_, _> = by_family(&clauses)
            .into_iter()
            .map(|(family, tests)| (family, Popularity::of(&tests)))
            .collect();
        for test in clauses.iter_mut().flatten() {
            let popularity = test
                .family
                .and_then(|family| popularity.get(&family.in_layer(0)));
            let share = popularity.map_or(1.0, |known| known.share(test.term, drafts.len()));
            test.share = if test.term.negated {
                1.0 - share
            } else {
                share
            };
        }
        let mut plan = Self {
            is_gated: vec![false; clauses.len()],
            clauses,
            gates: BTreeMap::new(),
            columns: Vec::new(),
        };
        plan.choose_gates(costs);
        plan.choose_columns(costs);
        plan
    }

    /// Gives each clause the gate that opens least often, of those that are worth asking.
    fn choose_gates(&mut self, costs: Costs) {
        for (clause, at) in (0..).zip(gates::choose(&self.clauses, costs.gate)) {
            let tests = self.clauses.get_mut(clause as usize);
            let test = tests.zip(at).and_then(|(tests, at)| tests.get_mut(at));
            let Some((test, family)) =
                test.and_then(|test| test.family.map(|family| (test, family)))
            else {
                continue;
            };
            let gate = self.gates.entry(family.in_layer(0)).or_default();
            gate.push((clause, test.term));
            // A gate opens for one element of an array, even where all must pass.
            test.is_answered = !family.is_all();
            if let Some(gated) = self.is_gated.get_mut(clause as usize) {
                *gated = true;
            }
        }
    }

    /// Takes columns, those first that throw most candidates out, while that saves more checks than it costs.
    fn choose_columns(&mut self, costs: Costs) {
        // How likely each clause is a candidate.
        let mut left: Vec<f64> = self
            .clauses
            .iter()
            .zip(&self.is_gated)
            .map(likelihood)
            .collect();
        let words = bitmap::words(left.len()) as f64;
        let cost = costs.column + costs.word * words;
        let mut families = by_layer(&self.clauses);
        while self.columns.len() < MAX_COLUMNS {
            let gain = |tests: &Vec<(u32, Planned<'a>)>| {
                let thrown_out = |(clause, test): &(u32, Planned<'a>)| {
                    left.get(*clause as usize)
                        .map(|left| left * (1.0 - test.share))
                };
                tests.iter().filter_map(thrown_out).sum::<f64>()
            };
            let gains = families
                .iter()
                .map(|(family, tests)| (gain(tests), *family));
            let best = gains.max_by(|(a, _), (b, _)| a.total_cmp(b));
            let Some((_, family)) = best.filter(|(gain, _)| *gain > cost) else {
                break;
            };
            let tests = families.remove(&family).unwrap_or_default();
            for (clause, test) in &tests {
                if let Some(left) = left.get_mut(*clause as usize) {
                    *left *= test.share;
                }
                self.answer(*clause, family);
            }
            let tests = tests.into_iter().map(|(clause, test)| (clause, test.term));
            self.columns.push((family, tests.collect()));
        }
    }

    /// Notes that a column answers the tests of a clause that belong to it.
    fn answer(&mut self, clause: u32, family: Family) {
        let tests = self.clauses.get_mut(clause as usize);
        for test in tests.into_iter().flatten() {
            test.is_answered |= test.family == Some(family);
        }
    }
}

/// How likely a clause is a candidate once the gates have been asked.
fn likelihood((tests, gated): (&Vec<Planned<'_>>, &bool)) -> f64 {
    if !gated {
        return 1.0;
    }
    let shares = tests
        .iter()
        .filter(|test| !test.term.negated)
        .map(|test| test.share);
    shares.fold(1.0, f64::min)
}

/// The tests of each family, all layers together.
fn by_family<'a>(clauses: &[Vec<Planned<'a>>]) -> BTreeMap<Family, Tests<'a>> {
    let mut families: BTreeMap<Family, Tests<'a>> = BTreeMap::new();
    for (clause, tests) in (0..).zip(clauses) {
        for test in tests {
            if let Some(family) = test.family {
                let list = families.entry(family.in_layer(0)).or_default();
                list.push((clause, test.term));
            }
        }
    }
    families
}

/// The tests of each family that no gate answers.
fn by_layer<'a>(clauses: &[Vec<Planned<'a>>]) -> BTreeMap<Family, Vec<(u32, Planned<'a>)>> {
    let mut families: BTreeMap<Family, Vec<(u32, Planned<'a>)>> = BTreeMap::new();
    for (clause, tests) in (0..).zip(clauses) {
        for test in tests.iter().filter(|test| !test.is_answered) {
            if let Some(family) = test.family {
                families.entry(family).or_default().push((clause, *test));
            }
        }
    }
    families
}

/// The tests of a clause, with layers such that a column can tell them apart.
fn planned(clause: &Clause) -> Vec<Planned<'_>> {
    let mut taken: Vec<Family> = Vec::new();
    let mut excluding: Vec<Family> = Vec::new();
    let mut place = |term: &Term| {
        let family = Family::of(term)?;
        // Tests that must not hold share a layer, unless all elements of an array are asked at once.
        if term.negated && !family.is_all() {
            let shared = excluding.iter().find(|known| known.in_layer(0) == family);
            if let Some(shared) = shared {
                return Some(*shared);
            }
        }
        let same = taken.iter().filter(|known| known.in_layer(0) == family);
        let family = family.in_layer(u8::try_from(same.count()).ok()?);
        taken.push(family);
        if term.negated {
            excluding.push(family);
        }
        Some(family)
    };
    let planned = |term| Planned {
        term,
        family: place(term),
        share: 1.0,
        is_answered: false,
    };
    clause.terms.iter().map(planned).collect()
}
