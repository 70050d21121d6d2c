//! Making a partition.
//!
//! A *gate* is a test that few events pass, such as one for a user's name: its clause is no candidate until the event has what
//! it asks for, so that most clauses cost nothing. A *column* answers for all clauses at once what many of them test on the
//! same field, and throws out those whose test fails: worth it where gates leave many. What is left is checked.

use guard_domain::Severity;

use super::plan::{Costs, Plan};
use super::{Clause, Partition};
use crate::engine::check::Term;
use crate::engine::clause::{self, Tree};
use crate::engine::column::{Column, Shape};
use crate::engine::quick::{Quick, QuickTree};
use crate::engine::{bitmap, column::Family};

/// A clause, its rule, and the severity from which on it looks at events.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Draft {
    pub(in crate::engine) rank: u32,
    pub(in crate::engine) min_severity: Option<Severity>,
    pub(in crate::engine) clause: clause::Clause,
}

impl Partition {
    /// Makes a partition of clauses, which come in the order of their rules.
    pub(in crate::engine) fn new(drafts: &[Draft], costs: Costs) -> Self {
        let plan = Plan::new(drafts, costs);
        let mut partition = Self {
            candidates: bitmap::collect(drafts.len(), (0..).zip(&plan.is_gated), |gated| !gated),
            by_severity: by_severity(drafts),
            gates: Vec::new(),
            gates_of_slot: rustc_hash::FxHashMap::default(),
            columns: Vec::new(),
            clauses: Vec::with_capacity(drafts.len()),
            tests: Vec::new(),
            terms: Vec::new(),
            trees: Vec::new(),
        };
        for (family, tests) in &plan.gates {
            let at = partition.gates.len();
            let gates = partition.gates_of_slot.entry(family.slot);
            gates.or_insert(at..at).end += 1;
            let gate = Column::gate(*family, drafts.len(), tests);
            partition.gates.push(gate);
        }
        for (family, tests) in &plan.columns {
            let column = Column::new(*family, drafts.len(), tests);
            partition.columns.push(column);
        }
        for (draft, tests) in drafts.iter().zip(&plan.clauses) {
            let open = tests.iter().filter(|test| !test.is_answered);
            partition.add(
                draft.rank,
                open.map(|test| test.term).collect(),
                &draft.clause.rest,
            );
        }
        partition
    }

    /// Adds a clause, of which these tests and trees have no answer.
    fn add(&mut self, rank: u32, mut tests: Vec<&Term>, trees: &[Tree]) {
        // What rules out most comes first, what costs most last.
        tests.sort_by_key(|term| std::cmp::Reverse(telling(term)));
        let (first_test, first_tree) = (length(&self.tests), length(&self.trees));
        for term in tests {
            let test = Quick::new(term, &mut self.terms);
            self.tests.push(test);
        }
        for tree in trees {
            let tree = QuickTree::new(tree, &mut self.terms);
            self.trees.push(tree);
        }
        self.clauses.push(Clause {
            rank,
            tests: first_test..length(&self.tests),
            trees: first_tree..length(&self.trees),
        });
    }
}

fn length<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

/// How much a test rules out for what it costs, roughly: few values equal a given one, many are above a bound, and what no
/// index answers costs much.
fn telling(term: &Term) -> u8 {
    match Family::of(term).map(|family| family.shape) {
        None => 0,
        Some(Shape::Exists) => 1,
        Some(_) if term.negated => 2,
        Some(Shape::Range) => 3,
        Some(Shape::Equal { .. }) => 5,
        Some(_) => 4,
    }
}

fn by_severity(drafts: &[Draft]) -> Option<[Vec<u64>; 5]> {
    drafts.iter().find(|draft| draft.min_severity.is_some())?;
    let looking_at = |severity: Option<Severity>| {
        bitmap::collect(drafts.len(), (0..).zip(drafts), |draft| {
            draft
                .min_severity
                .is_none_or(|least| severity >= Some(least))
        })
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
