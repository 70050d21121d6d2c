//! Why each rule matched an event, or did not.

use guard_domain::{Condition, Event, RuleId, RuleMode, Test};

use crate::condition::Compiled;
use crate::document::Document;
use crate::malformed::MalformedEvent;
use crate::rule_set::{CompiledRule, RuleSet};
use crate::verdict::Verdict;

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleExplanation {
    /// The rule.
    pub rule_id: RuleId,
    /// Whether its conditions hold; a window may still keep it from acting.
    pub matched: bool,
    /// Every test of its conditions, in the order of the rule.
    pub conditions: Vec<ConditionExplanation>,
    /// Why it did not act; `None` for the rule that decided.
    pub skipped_because: Option<String>,
}

/// What became of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionExplanation {
    /// Where it stands in the rule: a JSON pointer such as `/conditions/0/any/1`.
    pub pointer: String,
    /// The test in words, such as `context.failed_logins gte 10`.
    pub test: String,
    /// Whether it holds.
    pub holds: bool,
    /// The value of its field as the event's JSON text; `None` if the event has no such value.
    pub found: Option<String>,
}

/// Explains a verdict: every rule, in the order in which they decide.
///
/// # Errors
/// [`MalformedEvent`] when the event cannot be evaluated.
pub fn explain(
    rules: &RuleSet,
    event: &Event,
    verdict: &Verdict,
) -> Result<Vec<RuleExplanation>, MalformedEvent> {
    let document = Document::parse(event.body())?;
    let explanations = rules.compiled().map(|(_, compiled)| {
        let matched = compiled.matches(&document);
        let mut conditions = Vec::new();
        if let Compiled::All(list) = &compiled.condition {
            for (i, pair) in compiled.rule.conditions.iter().zip(list).enumerate() {
                walk(
                    pair,
                    &document,
                    &format!("/conditions/{i}"),
                    &mut conditions,
                );
            }
        }
        RuleExplanation {
            rule_id: compiled.rule.id.clone(),
            matched,
            conditions,
            skipped_because: skipped(compiled, matched, &document, verdict),
        }
    });
    Ok(explanations.collect())
}

fn skipped(
    compiled: &CompiledRule,
    matched: bool,
    event: &Document<'_>,
    verdict: &Verdict,
) -> Option<String> {
    let rule = &compiled.rule;
    if let Some(reason) = compiled.gate(event) {
        return Some(reason);
    }
    if !matched {
        return Some("its conditions do not hold".to_owned());
    }
    let window = verdict
        .windows
        .iter()
        .find(|found| found.rule_id == rule.id);
    if let Some(window) = window.filter(|window| !window.is_reached()) {
        return Some(format!("its window has {window}"));
    }
    match rule.mode {
        RuleMode::Disabled => return Some("it is disabled".to_owned()),
        RuleMode::Shadow => return Some("it is in shadow mode".to_owned()),
        RuleMode::Active | RuleMode::DryRun => {}
    }
    if let Some((_, reason)) = verdict.held_back.iter().find(|(id, _)| *id == rule.id) {
        return Some(format!("it {reason}"));
    }
    match &verdict.decision.rule_id {
        Some(decided) if *decided == rule.id => None,
        Some(decided) => Some(format!("rule `{decided}` comes first")),
        None => Some(verdict.decision.message.clone()),
    }
}

/// Goes through a condition and its compiled form, which have the same shape.
fn walk(
    (condition, compiled): (&Condition, &Compiled),
    event: &Document<'_>,
    pointer: &str,
    out: &mut Vec<ConditionExplanation>,
) {
    let (group, inner, compiled_inner) = match (condition, compiled) {
        (Condition::All(list), Compiled::All(compiled)) => ("all", list, compiled),
        (Condition::Any(list), Compiled::Any(compiled)) => ("any", list, compiled),
        (Condition::Not(inner), Compiled::Not(compiled)) => {
            return walk((inner, compiled), event, &format!("{pointer}/not"), out);
        }
        (Condition::Test(test), compiled) => {
            out.push(ConditionExplanation {
                pointer: pointer.to_owned(),
                test: in_words(test),
                holds: compiled.holds(event),
                found: event.find(&test.field).map(|found| found.raw.to_owned()),
            });
            return;
        }
        _ => return,
    };
    for (i, pair) in inner.iter().zip(compiled_inner).enumerate() {
        walk(pair, event, &format!("{pointer}/{group}/{i}"), out);
    }
}

pub(crate) fn in_words(test: &Test) -> String {
    use guard_domain::Operand;
    let operand = match &test.operand {
        Operand::None => String::new(),
        Operand::Value(value) => format!(" {value}"),
        Operand::ValueOf(path) => format!(" {path}"),
    };
    format!(
        "{} {}{operand}",
        test.field,
        test.operator.spelling(test.negated)
    )
}
