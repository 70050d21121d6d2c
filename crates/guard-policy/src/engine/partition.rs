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

/// How many candidates are few: checking them one by one then costs less than another index.
const FEW: u32 = 4;
/// How many words with candidates are few: the others are not looked at any more.
const FEW_WORDS: usize = 8;

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
    live: Vec<u32>,
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
            live,
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
        live.clear();
        let mut are_few = false;
        for (column, answered) in self.columns.iter().zip(0..) {
            if !are_few {
                are_few = find_live(candidates, live);
            } else {
                live.retain(|word| {
                    candidates
                        .get(*word as usize)
                        .is_some_and(|word| *word != 0)
                });
            }
            if are_few && count(candidates, live) <= FEW {
                return answered;
            }
            column.narrow(event, work, candidates, are_few.then_some(live));
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

/// Notes the words that are not zero, if they are few.
fn find_live(candidates: &[u64], live: &mut Vec<u32>) -> bool {
    let alive: usize = candidates.iter().map(|word| usize::from(*word != 0)).sum();
    if alive > FEW_WORDS {
        return false;
    }
    let words = candidates.iter().zip(0..);
    live.extend(words.filter(|(word, _)| **word != 0).map(|(_, at)| at));
    true
}

fn count(candidates: &[u64], live: &[u32]) -> u32 {
    let words = live
        .iter()
        .filter_map(|word| candidates.get(*word as usize));
    words.map(|word| word.count_ones()).sum()
}

impl Clause {
    /// Whether it holds; the first `answered` columns have been asked already.
    fn holds(&self, answered: u32, event: &mut Reading<'_>) -> bool {
        let mut open = self.tests.iter().filter(|(column, _)| *column >= answered);
        open.all(|(_, test)| test.holds(event)) && self.rest.iter().all(|tree| tree.holds(event))
    }
}
