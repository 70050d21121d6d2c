//! The rules that look at one event type, and which of them match.

mod build;
mod gates;
mod plan;
mod share;

use std::ops::{ControlFlow, Range};

use guard_domain::Severity;
use rustc_hash::FxHashMap;

use super::bitmap;
use super::check::{Reading, Term};
use super::column::{Column, Workspace};
use super::paths::SlotId;
use super::quick::{Quick, QuickTree};
pub(super) use build::Draft;
pub(crate) use plan::Costs;
pub(super) use share::Selective;

/// Up to so many gates are all asked; of more, those whose field the event has.
const FEW_GATES: usize = 24;

/// The clauses of the rules of a partition, one bit each, in the order in which their rules decide.
#[derive(Debug)]
pub(super) struct Partition {
    /// The clauses that are candidates whatever the event has.
    candidates: Vec<u64>,
    /// Those that look at events of a severity: none known, then from the lowest to the highest. `None` if all look at all.
    by_severity: Option<[Vec<u64>; 5]>,
    /// Columns that bring clauses in.
    gates: Vec<Column>,
    /// The gates that look at a slot.
    gates_of_slot: FxHashMap<SlotId, Range<usize>>,
    /// Columns that throw clauses out, the most telling ones first.
    columns: Vec<Column>,
    clauses: Vec<Clause>,
    /// What gates and columns do not answer, of all clauses.
    tests: Vec<Quick>,
    terms: Vec<Term>,
    trees: Vec<QuickTree>,
}

/// What is checked of a clause that is left over: ranges of the partition's tests and trees.
#[derive(Debug)]
struct Clause {
    /// The rank of its rule.
    rank: u32,
    tests: Range<u32>,
    trees: Range<u32>,
}

/// Room for finding matches; kept from event to event.
#[derive(Debug, Default)]
pub(super) struct Search {
    candidates: Vec<u64>,
    columns: Workspace,
}

impl Partition {
    /// Tells the ranks of the rules that match, in ascending order, until it is told to stop. A rule is told once.
    pub(super) fn find(
        &self,
        event: &mut Reading<'_>,
        severity: Option<Severity>,
        search: &mut Search,
        mut tell: impl FnMut(u32) -> ControlFlow<()>,
    ) {
        self.narrow(event, severity, search);
        let mut last = None;
        for (word, first) in search.candidates.iter().zip((0..).step_by(64)) {
            for bit in bitmap::bits_of(*word, first) {
                let Some(clause) = self.clauses.get(bit as usize) else {
                    return;
                };
                if last == Some(clause.rank) || !self.holds(clause, event) {
                    continue;
                }
                last = Some(clause.rank);
                if tell(clause.rank).is_break() {
                    return;
                }
            }
        }
    }

    /// Leaves the candidates in `search`.
    fn narrow(&self, event: &mut Reading<'_>, severity: Option<Severity>, search: &mut Search) {
        let Search {
            candidates,
            columns: work,
        } = search;
        candidates.clone_from(&self.candidates);
        self.open_gates(event, work, candidates);
        if let Some(by_severity) = &self.by_severity {
            let index = severity.map_or(0, |severity| usize::from(severity.rank()) + 1);
            if let Some(looking) = by_severity.get(index) {
                bitmap::intersect(candidates, looking);
            }
        }
        for column in &self.columns {
            column.narrow(event, work, candidates);
        }
    }

    fn open_gates(&self, event: &mut Reading<'_>, work: &mut Workspace, candidates: &mut [u64]) {
        if self.gates.len() <= FEW_GATES {
            for gate in &self.gates {
                gate.admit(event, work, candidates);
            }
            return;
        }
        let slots = event.slots;
        for slot in slots.filled() {
            let gates = self.gates_of_slot.get(slot).cloned();
            for gate in gates
                .and_then(|range| self.gates.get(range))
                .into_iter()
                .flatten()
            {
                gate.admit(event, work, candidates);
            }
        }
    }

    /// Whether all of a clause holds that gates and columns have not answered.
    #[inline]
    fn holds(&self, clause: &Clause, event: &mut Reading<'_>) -> bool {
        let mut tests = part(&self.tests, &clause.tests).iter();
        tests.all(|test| test.holds(event, &self.terms))
            && part(&self.trees, &clause.trees)
                .iter()
                .all(|tree| tree.holds(event, &self.terms))
    }
}

fn part<'a, T>(list: &'a [T], range: &Range<u32>) -> &'a [T] {
    list.get(range.start as usize..range.end as usize)
        .unwrap_or_default()
}
