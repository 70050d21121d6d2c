//! Fields that events do not have, and patterns that cost much.

use std::collections::BTreeMap;

use guard_domain::{
    Condition, EventType, EventTypeSelector, FieldPath, Operand, Operator, PathStep, Rule, Test,
    suggest,
};

use super::{Finding, FindingKind, FindingLevel, finding};
use crate::matcher::is_costly;

/// Which fields the events of a type have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldCatalogue {
    fields: BTreeMap<EventType, Vec<FieldPath>>,
}

impl FieldCatalogue {
    /// Notes the fields of an event type's context. A field covers all that is below it. Rules for a type that is not in the
    /// catalogue are not checked.
    pub fn insert(&mut self, event_type: EventType, fields: Vec<FieldPath>) {
        self.fields.insert(event_type, fields);
    }

    /// The fields that the events of a rule's types have; `None` if one of the types is not known.
    fn of(&self, types: &EventTypeSelector) -> Option<Vec<&FieldPath>> {
        let EventTypeSelector::OneOf(types) = types else {
            return None;
        };
        let each: Option<Vec<_>> = types.iter().map(|name| self.fields.get(name)).collect();
        Some(each?.into_iter().flatten().collect())
    }
}

/// Reports unknown fields and costly patterns.
pub(super) fn report(rule: &Rule, catalogue: &FieldCatalogue, findings: &mut Vec<Finding>) {
    let known = catalogue.of(&rule.event_types);
    let mut unknown = |field: &FieldPath, pointer: &str| {
        if let Some(detail) = known.as_ref().and_then(|known| problem(field, known)) {
            let what = (FindingKind::UnknownField, FindingLevel::Warning);
            findings.push(finding(rule, pointer, what, detail));
        }
    };
    let mut costly = Vec::new();
    for (i, condition) in rule.conditions.iter().enumerate() {
        each_test(
            condition,
            &format!("/conditions/{i}"),
            &mut |test, pointer| {
                unknown(&test.field, pointer);
                if let Operand::ValueOf(other) = &test.operand {
                    unknown(other, pointer);
                }
                if matches!(test.operator, Operator::Regex | Operator::Wildcard) {
                    costly.extend(is_costly(test).map(|detail| (pointer.to_owned(), detail)));
                }
            },
        );
    }
    for (i, field) in rule.cooldown_by.iter().enumerate() {
        unknown(field, &format!("/cooldown_by/{i}"));
    }
    for (i, field) in rule.window.iter().flat_map(|window| &window.by).enumerate() {
        unknown(field, &format!("/window/by/{i}"));
    }
    for (pointer, detail) in costly {
        let what = (FindingKind::CostlyPattern, FindingLevel::Warning);
        findings.push(finding(rule, &pointer, what, detail));
    }
}

fn problem(field: &FieldPath, known: &[&FieldPath]) -> Option<String> {
    let is_context = field.steps().first() == Some(&PathStep::Key("context".to_owned()));
    let covers = |known: &&&FieldPath| {
        field.steps().starts_with(known.steps()) || known.steps().starts_with(field.steps())
    };
    if !is_context || known.iter().any(|path| covers(&path)) {
        return None;
    }
    let names: Vec<_> = known.iter().map(ToString::to_string).collect();
    let name = field.to_string();
    let hint = suggest::hint(suggest::nearest(&name, names.iter().map(String::as_str)));
    Some(format!(
        "no event of its types is known to have `{name}`{hint}"
    ))
}

fn each_test(condition: &Condition, pointer: &str, tell: &mut impl FnMut(&Test, &str)) {
    let (list, group) = match condition {
        Condition::All(list) => (list, "all"),
        Condition::Any(list) => (list, "any"),
        Condition::Not(inner) => return each_test(inner, &format!("{pointer}/not"), tell),
        Condition::Test(test) => return tell(test, pointer),
    };
    for (i, inner) in list.iter().enumerate() {
        each_test(inner, &format!("{pointer}/{group}/{i}"), tell);
    }
}
