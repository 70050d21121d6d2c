//! The engine that decides which rules match, at about the cost of reading the event.
//!
//! One walk over the bytes of an event keeps the values of the paths that rules look at ([`scan`]). Rules are split by event
//! type into partitions, and within a partition into clauses, one bit each ([`clause`], [`partition`]). An index per field and
//! kind of test tells for a value which clauses are still possible ([`mod@column`]); the few that all indexes leave are checked
//! test by test ([`check`]).

mod bitmap;
mod check;
mod clause;
mod column;
mod partition;
mod paths;
mod quick;
mod scan;
mod slots;
mod text_table;

use std::ops::ControlFlow;

use guard_domain::{EventTypeSelector, FieldPath, Rule, RuleMode, Severity};
use rustc_hash::FxHashMap;

use crate::condition::Compiled;
use crate::malformed::MalformedEvent;
use check::{Reading, Room};
use clause::Tree;
pub(crate) use partition::Costs;
use partition::{Draft, Partition, Search, Selective};
use paths::{PathTree, SlotId};
use scan::Marks;
use slots::{Slots, View};

/// Working memory for evaluating events. One serves any number of events and rule sets, one after the other; keeping it
/// saves allocating it anew.
#[derive(Debug, Default)]
pub struct Scratch {
    marks: Marks,
    slots: Slots,
    room: Room,
    search: Search,
    ranks: Vec<u32>,
    pub(crate) found: Vec<u32>,
}

/// All rules of a set, compiled together.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    paths: PathTree,
    event_type: SlotId,
    severity: SlotId,
    /// The rules that look at an event type, by its name.
    by_type: FxHashMap<Box<str>, Partition>,
    /// The rules for events of all types that are not among those of a type.
    others: Option<Partition>,
    /// Whether the rules for all types are among those of each type.
    is_merged: bool,
}

impl Engine {
    /// Compiles rules, in the order in which they decide. Disabled ones are left out.
    pub(crate) fn new<'a>(
        rules: impl Iterator<Item = (&'a Rule, &'a Compiled)> + Clone,
        costs: Costs,
    ) -> Self {
        let mut fields = Vec::new();
        let roots = ["event_type", "severity"].map(FieldPath::parse);
        let [type_path, severity_path] = &roots;
        fields.extend(roots.iter().flatten());
        for (_, condition) in rules.clone() {
            condition.each_field(&mut |field| fields.push(field));
        }
        let (paths, ids) = PathTree::new(fields.iter().copied());
        let slots: FxHashMap<&FieldPath, SlotId> = fields.into_iter().zip(ids).collect();
        let slot = |path: &FieldPath| slots.get(path).copied().unwrap_or(SlotId::MAX);
        let root = |path: &Result<FieldPath, _>| path.as_ref().map_or(SlotId::MAX, slot);
        let trees = rules
            .zip(0..)
            .filter(|((rule, _), _)| rule.mode != RuleMode::Disabled)
            .map(|((rule, condition), rank)| (rule, rank, Tree::of(condition, &slot)));
        let trees: Vec<_> = trees.collect();
        let selective = Selective::of(trees.iter().map(|(_, _, tree)| tree));
        let drafts = trees
            .iter()
            .map(|(rule, rank, tree)| (*rule, drafts(rule, *rank, tree, &selective)));
        let split = Split::new(drafts);
        Self {
            event_type: root(type_path),
            severity: root(severity_path),
            is_merged: split.is_merged,
            by_type: split
                .by_type
                .iter()
                .map(|(name, drafts)| ((*name).into(), Partition::new(drafts, costs)))
                .collect(),
            others: (!split.others.is_empty()).then(|| Partition::new(&split.others, costs)),
            paths,
        }
    }

    /// Tells the ranks of the rules that match, in ascending order, until it is told to stop.
    pub(crate) fn find(
        &self,
        event: &[u8],
        scratch: &mut Scratch,
        mut tell: impl FnMut(u32) -> ControlFlow<()>,
    ) -> Result<(), MalformedEvent> {
        let Scratch {
            marks,
            slots,
            room,
            search,
            ranks,
            ..
        } = scratch;
        let text = scan::scan(event, &self.paths, marks, slots)?;
        let mut reading = Reading { text, slots, room };
        // `Severity::parse` would write a sentence about an unknown word, which allocates.
        let severity = match reading.view(self.severity) {
            View::Text(word) => Severity::ALL
                .iter()
                .copied()
                .find(|known| known.as_str() == word),
            _ => None,
        };
        let of_type = match reading.view(self.event_type) {
            View::Text(name) => self.by_type.get(name),
            _ => None,
        };
        match (of_type, &self.others) {
            (Some(only), _) if self.is_merged => only.find(&mut reading, severity, search, tell),
            (Some(only), None) | (None, Some(only)) => {
                only.find(&mut reading, severity, search, tell);
            }
            (None, None) => {}
            (Some(first), Some(second)) => {
                ranks.clear();
                for partition in [first, second] {
                    partition.find(&mut reading, severity, search, |rank| {
                        ranks.push(rank);
                        ControlFlow::Continue(())
                    });
                }
                ranks.sort_unstable();
                _ = ranks.iter().try_for_each(|rank| tell(*rank));
            }
        }
        Ok(())
    }
}

/// The clauses of a rule. One that has a test which few events pass is left whole: that test will be its gate, and splitting
/// would only multiply it.
fn drafts(rule: &Rule, rank: u32, tree: &Tree, selective: &Selective<'_>) -> Vec<Draft> {
    let clauses = if selective.has_gate(tree) {
        vec![tree.whole()]
    } else {
        tree.split()
    };
    let draft = |clause| Draft {
        rank,
        min_severity: rule.min_severity,
        clause,
    };
    clauses.into_iter().map(draft).collect()
}

/// Clauses by the event types of their rules.
struct Split<'a> {
    by_type: FxHashMap<&'a str, Vec<Draft>>,
    others: Vec<Draft>,
    is_merged: bool,
}

/// Rules for all types are copied to each type if that makes at most so many times the clauses.
const MAX_COPIES: usize = 4;

impl<'a> Split<'a> {
    fn new(rules: impl Iterator<Item = (&'a Rule, Vec<Draft>)>) -> Self {
        let mut by_type: FxHashMap<&str, Vec<Draft>> = FxHashMap::default();
        let mut others = Vec::new();
        let mut clauses = 0;
        for (rule, drafts) in rules {
            clauses += drafts.len();
            match &rule.event_types {
                EventTypeSelector::Any => others.extend(drafts),
                EventTypeSelector::OneOf(types) => {
                    for name in types {
                        let known = by_type.entry(name.as_str()).or_default();
                        // A type that is named twice counts once.
                        if known.last().map(|last| last.rank)
                            != drafts.first().map(|first| first.rank)
                        {
                            known.extend_from_slice(&drafts);
                        }
                    }
                }
            }
        }
        let is_merged = others.len() * by_type.len() <= MAX_COPIES * clauses;
        if is_merged && !others.is_empty() {
            for drafts in by_type.values_mut() {
                drafts.extend_from_slice(&others);
                drafts.sort_by_key(|draft| draft.rank);
            }
        }
        Self {
            by_type,
            others,
            is_merged,
        }
    }
}
