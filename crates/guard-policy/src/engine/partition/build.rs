//! Making a partition: which tests become columns, and which clauses are candidates from the start.
//!
//! Most rules test the same few fields: each of those becomes a column, a bitmap per value, and one intersection answers it
//! for all clauses at once. A field that few rules test is not worth that. A clause that tests only such fields is no candidate
//! until a *gate* brings it in: one of its tests, looked up when the event has the field.

use std::collections::BTreeMap;

use guard_domain::Severity;
use rustc_hash::FxHashMap;

use super::{CHECKS_PER_COLUMN, Clause, Partition};
use crate::engine::bitmap;
use crate::engine::check::Term;
use crate::engine::clause;
use crate::engine::column::{Column, Family, Shape};

/// A column must answer for one in so many clauses.
const RARE: usize = 64;
/// More columns than these cost more than they save.
const MAX_COLUMNS: usize = 32;
/// The number of a test that no column answers.
const UNANSWERED: u32 = u32::MAX;

/// A clause, its rule, and the severity from which on it looks at events.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Draft {
    pub(in crate::engine) rank: u32,
    pub(in crate::engine) min_severity: Option<Severity>,
    pub(in crate::engine) clause: clause::Clause,
}

/// The tests of each family, in the order of their clauses.
type Tests<'a> = BTreeMap<Family, Vec<(u32, &'a Term)>>;

impl Partition {
    /// Makes a partition of clauses, which come in the order of their rules.
    pub(in crate::engine) fn new(drafts: &[Draft]) -> Self {
        let plan = Plan::new(drafts);
        let gates = plan.gates(drafts);
        let mut candidates = vec![0; bitmap::words(drafts.len())];
        for (clause, gate) in (0..).zip(&gates) {
            if gate.is_none() {
                bitmap::insert(&mut candidates, clause);
            }
        }
        let column = |family: &Family| Column::new(*family, drafts.len(), plan.tests_of(*family));
        let (columns, first_count) = plan.order(plan.columns.iter().map(column).collect(), &gates);
        Self {
            candidates,
            by_severity: by_severity(drafts),
            gates: gate_columns(&gates, drafts.len()),
            clauses: plan.clauses(drafts, &columns),
            columns,
            first_count,
        }
    }
}

/// What becomes a column.
struct Plan<'a> {
    /// The families of each clause's tests; `None` where no index answers a test.
    families: Vec<Vec<Option<Family>>>,
    tests: Tests<'a>,
    /// The families that become columns.
    columns: Vec<Family>,
}

impl<'a> Plan<'a> {
    fn new(drafts: &'a [Draft]) -> Self {
        let families: Vec<_> = drafts.iter().map(|draft| families(&draft.clause)).collect();
        let mut tests = Tests::new();
        for ((clause, draft), families) in (0..).zip(drafts).zip(&families) {
            for (term, family) in draft.clause.terms.iter().zip(families) {
                if let Some(family) = family {
                    tests.entry(*family).or_default().push((clause, term));
                }
            }
        }
        Self {
            columns: columns(&tests, drafts.len()),
            families,
            tests,
        }
    }

    /// The test that brings each clause in; `None` for one that is a candidate from the start.
    fn gates<'d>(&self, drafts: &'d [Draft]) -> Vec<Option<(Family, &'d Term)>> {
        let gate = |(draft, families): (&'d Draft, &Vec<Option<Family>>)| {
            let terms = draft.clause.terms.iter().zip(families);
            let must_hold = terms.filter_map(|(term, family)| {
                family
                    .filter(|_| !term.negated)
                    .map(|family| (family, term))
            });
            let (told, rare): (Vec<_>, Vec<_>) =
                must_hold.partition(|(family, _)| self.columns.contains(family));
            let strongest = |list: &[(Family, &'d Term)]| {
                list.iter().map(|(family, _)| strength(*family)).max()
            };
            let worth = self.columns.is_empty() || strongest(&rare) > strongest(&told);
            let gate = rare.into_iter().max_by_key(|(family, _)| strength(*family));
            gate.filter(|_| worth)
        };
        drafts.iter().zip(&self.families).map(gate).collect()
    }

    fn tests_of(&self, family: Family) -> &[(u32, &'a Term)] {
        self.tests.get(&family).map_or(&[], Vec::as_slice)
    }

    /// Puts first what throws most clauses out of those that are left. Tells also after how many columns so few are left,
    /// presumably, that they should be counted.
    fn order(
        &self,
        mut columns: Vec<Column>,
        gates: &[Option<(Family, &Term)>],
    ) -> (Vec<Column>, u32) {
        // How likely each clause is still a candidate.
        let mut left: Vec<f64> = gates
            .iter()
            .map(|gate| if gate.is_none() { 1.0 } else { 0.0 })
            .collect();
        let mut ordered = Vec::new();
        let mut first_count = None;
        loop {
            let expected: f64 = left.iter().sum();
            if expected <= f64::from(CHECKS_PER_COLUMN) * columns.len() as f64 {
                first_count.get_or_insert(ordered.len());
            }
            let thrown_out = |column: &Column| {
                let tests = self.tests_of(column.family()).iter();
                let wanted = tests.filter(|(_, term)| !term.negated);
                let likely = wanted.filter_map(|(clause, _)| left.get(*clause as usize));
                likely.sum::<f64>() * (1.0 - column.share())
            };
            let gains: Vec<f64> = columns.iter().map(thrown_out).collect();
            let best = gains
                .iter()
                .zip(0..)
                .max_by(|(a, _), (b, _)| a.total_cmp(b));
            let Some((_, best)) = best else { break };
            let column = columns.swap_remove(best);
            for (clause, term) in self.tests_of(column.family()) {
                if let Some(left) = left.get_mut(*clause as usize).filter(|_| !term.negated) {
                    *left *= column.share();
                }
            }
            ordered.push(column);
        }
        let first_count = first_count.unwrap_or(ordered.len());
        (ordered, u32::try_from(first_count).unwrap_or(u32::MAX))
    }

    fn clauses(&self, drafts: &[Draft], columns: &[Column]) -> Vec<Clause> {
        let families = columns.iter().map(Column::family);
        let numbers: FxHashMap<Family, u32> = families.zip(0..).collect();
        let number = |family: &Option<Family>| {
            let known = family.as_ref().and_then(|family| numbers.get(family));
            known.copied().unwrap_or(UNANSWERED)
        };
        let finish = |(draft, families): (&Draft, &Vec<Option<Family>>)| {
            let terms = draft.clause.terms.iter().zip(families);
            let mut tests: Vec<_> = terms
                .map(|(term, family)| (number(family), term.clone()))
                .collect();
            // What rules out most comes first, what costs most last.
            tests.sort_by_key(|(_, term)| std::cmp::Reverse(telling(term)));
            Clause {
                rank: draft.rank,
                tests: tests.into(),
                rest: draft.clause.rest.clone().into(),
            }
        };
        drafts.iter().zip(&self.families).map(finish).collect()
    }
}

/// The family of each test of a clause, with layers such that each column can tell the clause's tests apart.
fn families(clause: &clause::Clause) -> Vec<Option<Family>> {
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
        let layer = taken
            .iter()
            .filter(|known| known.in_layer(0) == family)
            .count();
        let family = family.in_layer(u8::try_from(layer).ok()?);
        taken.push(family);
        if term.negated {
            excluding.push(family);
        }
        Some(family)
    };
    clause.terms.iter().map(&mut place).collect()
}

/// The families worth a column, those that rule most clauses out first.
fn columns(tests: &Tests<'_>, clauses: usize) -> Vec<Family> {
    let wanted = |list: &[(u32, &Term)]| list.iter().filter(|(_, term)| !term.negated).count();
    let mut worth: Vec<_> = tests
        .iter()
        .filter(|(_, list)| list.len() * RARE >= clauses)
        .map(|(family, list)| (strength(*family), wanted(list), *family))
        .collect();
    worth.sort_by_key(|(strength, wanted, _)| std::cmp::Reverse(wanted * usize::from(*strength)));
    worth.truncate(MAX_COLUMNS);
    worth.into_iter().map(|(_, _, family)| family).collect()
}

/// How much a test rules out, roughly: few values equal a given one, many are above a bound.
const fn strength(family: Family) -> u8 {
    match family.shape {
        Shape::Equal { .. } => 4,
        Shape::Prefix { .. } | Shape::Suffix { .. } | Shape::Contains { .. } | Shape::Networks => 3,
        Shape::Range => 2,
        Shape::Exists => 1,
    }
}

/// How much a test rules out for what it costs. What no index answers costs much.
fn telling(term: &Term) -> u8 {
    match Family::of(term) {
        Some(family) if !term.negated => strength(family),
        Some(_) => 1,
        None => 0,
    }
}

fn gate_columns(gates: &[Option<(Family, &Term)>], clauses: usize) -> FxHashMap<u32, Vec<Column>> {
    let mut tests: Tests<'_> = BTreeMap::new();
    for (clause, gate) in (0..).zip(gates) {
        if let Some((family, term)) = gate {
            let list = tests.entry(family.in_layer(0)).or_default();
            list.push((clause, *term));
        }
    }
    let mut columns: FxHashMap<u32, Vec<Column>> = FxHashMap::default();
    for (family, tests) in tests {
        let column = Column::new(family, clauses, &tests);
        columns.entry(family.slot).or_default().push(column);
    }
    columns
}

fn by_severity(drafts: &[Draft]) -> Option<[Vec<u64>; 5]> {
    drafts.iter().find(|draft| draft.min_severity.is_some())?;
    let looking_at = |severity: Option<Severity>| {
        let mut set = vec![0; bitmap::words(drafts.len())];
        for (clause, draft) in (0..).zip(drafts) {
            if draft
                .min_severity
                .is_none_or(|least| severity >= Some(least))
            {
                bitmap::insert(&mut set, clause);
            }
        }
        set
    };
    let [low, medium, high, critical] = [
        Severity::Low,
        Severity::Medium,
        Severity::High,
        Severity::Critical,
    ]
    .map(|severity| looking_at(Some(severity)));
    Some([looking_at(None), low, medium, high, critical])
}
