//! Rules that have no turn.

use std::collections::HashMap;

use guard_domain::{Action, EventTypeSelector, FieldPath, Rule, Severity};

use super::structure::{Structure, Tree};
use super::{Finding, FindingKind, FindingLevel, finding};
use crate::rule_set::CompiledRule;

/// The rules that could shadow later ones, by one of the fields that they test; those that test none alone are under
/// nothing.
#[derive(Default)]
pub(super) struct Shadows {
    rules: Vec<Earlier>,
    by_field: HashMap<Option<FieldPath>, Vec<usize>>,
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
        // Any of its fields will do, since a rule that it shadows has facts about all of them.
        let field = structure.tree.iter().find_map(|tree| match tree {
            Tree::Fact(fact) => Some(fact.field().clone()),
            Tree::All(_) | Tree::Any(..) => None,
        });
        // An undelivered execution holds back a rule that runs a playbook, so that later ones have a turn.
        let runs = matches!(rule.action, Action::TriggerPlaybook { .. });
        let takes_all = rule.cooldown_minutes == 0 && rule.budget.is_none() && !runs;
        self.by_field
            .entry(field)
            .or_default()
            .push(self.rules.len());
        self.rules.push(Earlier {
            rule: rule.clone(),
            tree: structure.tree.clone(),
            takes_all,
        });
    }

    /// Says which earlier rule takes all events of a rule.
    pub(super) fn find(&self, compiled: &CompiledRule, structure: &Structure) -> Option<Finding> {
        let rule = &compiled.rule;
        let fields = structure
            .facts
            .iter()
            .map(|fact| Some(fact.field().clone()));
        let mut fields: Vec<_> = fields.chain([None]).collect();
        fields.sort_unstable();
        fields.dedup();
        let known = fields
            .iter()
            .filter_map(|field| self.by_field.get(field))
            .flatten();
        let earlier = known.filter_map(|at| self.rules.get(*at));
        let mut covering: Vec<&Earlier> = earlier
            .filter(|earlier| earlier.covers(rule, structure))
            .collect();
        covering.sort_by_key(|earlier| !earlier.takes_all);
        let first = covering.first()?;
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
