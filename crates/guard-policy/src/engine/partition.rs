//! The rules that look at one event type, and which of them match.

mod build;

use std::ops::ControlFlow;

use guard_domain::Severity;
use rustc_hash::FxHashMap;

use super::bitmap;
use super::check::{Reading, Term};
use super::clause::Tree;
use super::column::{Column, Workspace};
use super::paths::SlotId;
pub(super) use build::Draft;

/// Checking so many candidates costs about as much as asking one column.
const CHECKS_PER_COLUMN: u32 = 2;

/// The clauses of the rules of a partition, one bit each, in the order in which their rules decide.
#[derive(Debug)]
pub(super) struct Partition {
    /// The clauses that are candidates until a column says otherwise.
    candidates: Vec<u64>,
    /// Those that look at events of a severity: none known, then from the lowest to the highest. `None` if all look at all.
    by_severity: Option<[Vec<u64>; 5]>,
    /// Columns that bring clauses in, by the slot they look at.
    gates: FxHashMap<SlotId, Vec<Column>>,
    /// Columns that throw clauses out, the most telling ones first.
    columns: Vec<Column>,
    /// After so many columns it pays to count what is left, as far as one can tell without events.
    first_count: u32,
    clauses: Vec<Clause>,
}

/// What is checked of a clause that is left over.
#[derive(Debug)]
struct Clause {
    /// The rank of its rule.
    rank: u32,
    /// Its tests, and the number of the column that has answered each.
    tests: Box<[(u32, Term)]>,
    rest: Box<[Tree]>,
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
        let answered = self.narrow(event, severity, search);
        let mut last = None;
        for bit in bitmap::iter(&search.candidates) {
            let Some(clause) = self.clauses.get(bit as usize) else {
                return;
            };
            if last == Some(clause.rank) || !clause.holds(answered, event) {
                continue;
            }
            last = Some(clause.rank);
            if tell(clause.rank).is_break() {
                return;
            }
        }
    }

    /// Leaves the candidates in `search`, and tells how many columns have been asked.
    fn narrow(
        &self,
        event: &mut Reading<'_>,
        severity: Option<Severity>,
        search: &mut Search,
    ) -> u32 {
        let Search {
            candidates,
            columns: work,
        } = search;
        candidates.clone_from(&self.candidates);
        if !self.gates.is_empty() {
            self.open_gates(event, work, candidates);
        }
        if let Some(by_severity) = &self.by_severity {
            let index = severity.map_or(0, |severity| usize::from(severity.rank()) + 1);
            if let Some(looking) = by_severity.get(index) {
                bitmap::intersect(candidates, looking);
            }
        }
        let mut columns_left = u32::try_from(self.columns.len()).unwrap_or(u32::MAX);
        for (column, answered) in self.columns.iter().zip(0..) {
            if answered >= self.first_count
                && !bitmap::has_more_than(candidates, columns_left * CHECKS_PER_COLUMN)
            {
                return answered;
            }
            column.narrow(event, work, candidates);
            columns_left -= 1;
        }
        u32::MAX
    }

    fn open_gates(&self, event: &mut Reading<'_>, work: &mut Workspace, candidates: &mut [u64]) {
        let slots = event.slots;
        for slot in slots.filled() {
            for column in self.gates.get(slot).into_iter().flatten() {
                column.admit(event, work, candidates);
            }
        }
    }
}

impl Clause {
    /// Whether it holds; the first `answered` columns have been asked already.
    fn holds(&self, answered: u32, event: &mut Reading<'_>) -> bool {
        let mut open = self.tests.iter().filter(|(column, _)| *column >= answered);
        open.all(|(_, test)| test.holds(event)) && self.rest.iter().all(|tree| tree.holds(event))
    }
}
