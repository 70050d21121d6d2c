//! Rules that have no turn.

use std::collections::{BTreeSet, HashMap};

use guard_domain::{Action, EventTypeSelector, FieldPath, Rule, Severity};

use super::fact::Fact;
use super::structure::{Structure, Tree, always};
use super::{Finding, FindingKind, FindingLevel, finding};
use crate::matcher::predicate::{Predicate, Scalar};
use crate::rule_set::CompiledRule;

/// The rules that could shadow later ones.
#[derive(Default)]
pub(super) struct Shadows {
    rules: Vec<Earlier>,
    /// By what a rule that one of them shadows must say.
    by_key: HashMap<Key, Vec<usize>>,
}

/// Something that a rule says of a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// Nothing in particular.
    Nothing,
    /// Something.
    Field(FieldPath),
    /// That it equals this, among others perhaps.
    Value(FieldPath, Scalar),
}

/// What a fact looks for, if it is equality.
fn values(fact: &Fact) -> &[Scalar] {
    match fact.predicate() {
        Some(Predicate::OneOf {
            scalars,
            ignore_case: false,
        }) if !fact.negated => scalars,
        _ => &[],
    }
}

struct Earlier {
    rule: Rule,
    tree: Vec<Tree>,
    takes_all: bool,
}

impl Shadows {
    /// Notes a rule that decides.
    pub(super) fn add(&mut self, compiled: &CompiledRule, structure: &Structure) {
        let rule = &compiled.rule;
        // It lets events pass until its window is reached, or a human has agreed.
        if rule.window.is_some() || rule.grace.is_some() || rule.approval.is_some() {
            return;
        }
        // An undelivered execution holds back a rule that runs a playbook, so that later ones have a turn.
        let runs = matches!(rule.action, Action::TriggerPlaybook { .. });
        let takes_all = rule.cooldown_minutes == 0 && rule.budget.is_none() && !runs;
        for key in needed(&structure.tree) {
            self.by_key.entry(key).or_default().push(self.rules.len());
        }
        self.rules.push(Earlier {
            rule: rule.clone(),
            tree: structure.tree.clone(),
            takes_all,
        });
    }

    /// Says which earlier rule takes all events of a rule.
    pub(super) fn find(&self, compiled: &CompiledRule, structure: &Structure) -> Option<Finding> {
        let rule = &compiled.rule;
        let said = structure.facts.iter().flat_map(|fact| {
            let value = values(fact).first();
            let value = value.map(|value| Key::Value(fact.field().clone(), value.clone()));
            [Some(Key::Field(fact.field().clone())), value]
        });
        let keys = said.flatten().chain([Key::Nothing]);
        let known: BTreeSet<usize> = keys
            .filter_map(|key| self.by_key.get(&key))
            .flatten()
            .copied()
            .collect();
        let earlier = known.into_iter().filter_map(|at| self.rules.get(at));
        let covering = earlier.filter(|earlier| earlier.covers(rule, structure));
        // One that takes all is worse than one that may be held back.
        let first = covering.min_by_key(|earlier| !earlier.takes_all)?;
        let by = &first.rule.id;
        let (level, detail) = if first.takes_all {
            let detail = format!(
                "it never decides: rule `{by}`, which comes first, takes all of its events"
            );
            (FindingLevel::Error, detail)
        } else {
            let detail = format!(
                "it decides only while rule `{by}`, which comes first and matches all of its events, is held back"
            );
            (FindingLevel::Warning, detail)
        };
        Some(finding(rule, "", (FindingKind::Shadowed, level), detail))
    }
}

/// The keys of which a rule must say one to be shadowed by one with these conditions. One of its facts will do, best one that
/// asks for a value.
fn needed(tree: &[Tree]) -> Vec<Key> {
    let facts = || {
        tree.iter().filter_map(|tree| match tree {
            Tree::Fact(fact) if !always(fact) => Some(fact),
            Tree::Fact(_) | Tree::All(_) | Tree::Any(..) => None,
        })
    };
    if let Some(fact) = facts().find(|fact| !values(fact).is_empty()) {
        let key = |value: &Scalar| Key::Value(fact.field().clone(), value.clone());
        return values(fact).iter().map(key).collect();
    }
    let field = facts().next().map(|fact| Key::Field(fact.field().clone()));
    vec![field.unwrap_or(Key::Nothing)]
}

impl Earlier {
    /// Whether it matches wherever a rule does.
    fn covers(&self, rule: &Rule, structure: &Structure) -> bool {
        let types = match (&self.rule.event_types, &rule.event_types) {
            (EventTypeSelector::Any, _) => true,
            (EventTypeSelector::OneOf(_), EventTypeSelector::Any) => false,
            (EventTypeSelector::OneOf(mine), EventTypeSelector::OneOf(theirs)) => {
                theirs.iter().all(|name| mine.contains(name))
            }
        };
        let least = |rule: &Rule| rule.min_severity.unwrap_or(Severity::Low);
        types
            && least(&self.rule) <= least(rule)
            && self
                .tree
                .iter()
                .all(|tree| tree.follows_from(&structure.facts))
    }
}
