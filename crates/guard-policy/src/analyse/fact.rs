//! Tests, and what they mean for each other.

use std::sync::Arc;

use guard_domain::{
    EventTypeSelector, FieldPath, Literal, Operand, Operator, PathStep, Quantifier, Rule, Severity,
    Test,
};

use crate::matcher::predicate::Predicate;
use crate::matcher::{Check, Matcher};

/// A test that holds, or one that does not.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub(super) matcher: Arc<Matcher>,
    /// Whether the test does not hold, its own negation included.
    pub(super) negated: bool,
    /// Where it stands in the rule.
    pub(super) pointer: String,
    /// As its author wrote it.
    pub(super) test: Test,
}

impl Fact {
    /// What it says, in words.
    pub(super) fn words(&self) -> String {
        format!("`{}`", crate::explain::in_words(&self.test))
    }

    pub(super) fn field(&self) -> &FieldPath {
        &self.matcher.field
    }

    pub(super) fn is_all(&self) -> bool {
        self.matcher.quantifier == Quantifier::All
    }

    pub(super) fn predicate(&self) -> Option<&Predicate> {
        match &self.matcher.check {
            Check::Value(predicate) => Some(predicate),
            Check::Exists | Check::Field { .. } => None,
        }
    }

    /// Whether its field is one that every accepted event has as a single text.
    pub(super) fn is_single(&self) -> bool {
        let single = ["event_type", "severity", "source", "timestamp", "id"];
        match self.field().steps() {
            [PathStep::Key(key)] => single.contains(&key.as_str()),
            _ => false,
        }
    }

    /// Whether every accepted event has its field.
    pub(super) fn is_always_there(&self) -> bool {
        let required = ["event_type", "severity", "source", "timestamp", "context"];
        match self.field().steps() {
            [PathStep::Key(key)] => required.contains(&key.as_str()),
            _ => false,
        }
    }
}

/// What a rule says of events before its conditions: their type and their least severity.
pub(super) fn implied(rule: &Rule) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let EventTypeSelector::OneOf(types) = &rule.event_types {
        let types = types.iter().map(|name| name.as_str());
        facts.extend(one_of("event_type", types));
    }
    if let Some(least) = rule.min_severity {
        let severities = Severity::ALL.iter().filter(|severity| **severity >= least);
        let fact = one_of("severity", severities.map(|severity| severity.as_str()));
        facts.extend(fact.map(|fact| Fact {
            pointer: "/min_severity".to_owned(),
            ..fact
        }));
    }
    facts
}

fn one_of<'a>(field: &str, values: impl Iterator<Item = &'a str>) -> Option<Fact> {
    let values = values
        .map(|value| Literal::String(value.to_owned()))
        .collect();
    let test = Test {
        field: FieldPath::parse(field).ok()?,
        operator: Operator::In,
        negated: false,
        operand: Operand::Value(Literal::List(values)),
        ignore_case: false,
        quantifier: Quantifier::Any,
    };
    Some(Fact {
        matcher: Arc::new(Matcher::compile(&test).ok()?),
        negated: false,
        pointer: format!("/{field}"),
        test,
    })
}
