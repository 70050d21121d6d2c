//! Which rules match an event.

use std::cell::RefCell;

use guard_domain::{FieldPath, RuleId, RuleMode, Severity};

use crate::document::Document;
use crate::engine::Scratch;
use crate::malformed::MalformedEvent;
use crate::rule_set::{CompiledRule, RuleSet};

/// The rules that match an event, in the order in which they decide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// The rules that may act.
    pub matches: Vec<Match>,
    /// The rules of mode `shadow`: recorded beside the decision.
    pub shadows: Vec<Match>,
}

/// A rule that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The rule.
    pub rule_id: RuleId,
    /// The event's values of the rule's `cooldown_by`, as one text; empty if the rule names none.
    ///
    /// A missing value, and one with a NUL, is a value of its own.
    pub cooldown_value: String,
    /// The event's values of the `by` of the rule's window, as the same kind of text; `None` for a rule without window.
    pub window_value: Option<String>,
    pub(crate) rank: usize,
}

impl RuleSet {
    /// Finds the rules that match an event, given as the JSON text that its sender wrote.
    ///
    /// # Errors
    /// [`MalformedEvent`] when the text is not a JSON object that can be evaluated.
    pub fn evaluate(&self, event: &str) -> Result<Evaluation, MalformedEvent> {
        SCRATCH.with_borrow_mut(|scratch| {
            let ranks = self.ranks(event.as_bytes(), scratch)?;
            self.evaluation(event, ranks)
        })
    }

    fn evaluation(&self, event: &str, ranks: &[u32]) -> Result<Evaluation, MalformedEvent> {
        let matched = || {
            ranks
                .iter()
                .map(|rank| *rank as usize)
                .filter_map(|rank| Some((rank, self.get(rank)?)))
        };
        // The event is read once more only for what is kept apart by its values.
        let is_apart = matched().any(|(_, compiled)| compiled.rule.keeps_values_apart());
        let document = is_apart.then(|| Document::parse(event)).transpose()?;
        let mut evaluation = Evaluation::default();
        for (rank, compiled) in matched() {
            let rule = &compiled.rule;
            let list = match rule.mode {
                RuleMode::Disabled => continue,
                RuleMode::Shadow => &mut evaluation.shadows,
                RuleMode::Active | RuleMode::DryRun => &mut evaluation.matches,
            };
            let window = rule.window.as_ref();
            list.push(Match {
                rule_id: rule.id.clone(),
                cooldown_value: bucket(&rule.cooldown_by, document.as_ref()),
                window_value: window.map(|window| bucket(&window.by, document.as_ref())),
                rank,
            });
        }
        Ok(evaluation)
    }
}

thread_local! {
    /// Each thread keeps its working memory, so that evaluating allocates little and waits for nobody.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl CompiledRule {
    /// Whether the rule looks at the event and its conditions hold, whatever its mode.
    pub(crate) fn matches(&self, event: &Document<'_>) -> bool {
        self.gate(event).is_none() && self.condition.holds(event)
    }

    /// Why the rule does not look at the event at all.
    pub(crate) fn gate(&self, event: &Document<'_>) -> Option<String> {
        let event_type = root_text(event, "event_type").unwrap_or_default();
        if !self.rule.event_types.accepts(event_type) {
            return Some(format!("it does not look at events of type `{event_type}`"));
        }
        let least = self.rule.min_severity?;
        let severity = root_text(event, "severity").and_then(|word| Severity::parse(word).ok());
        if severity.is_some_and(|severity| severity >= least) {
            return None;
        }
        Some(format!(
            "it looks at events of severity `{least}` and above"
        ))
    }
}

fn root_text<'d>(event: &'d Document<'_>, field: &str) -> Option<&'d str> {
    event.member(field).and_then(Document::text)
}

/// The values of some fields as one text.
fn bucket(fields: &[FieldPath], event: Option<&Document<'_>>) -> String {
    let value = |field: &FieldPath| match event.and_then(|event| event.find(field)) {
        Some(found) if !found.text().is_some_and(|text| text.contains('\0')) => found.canonical(),
        _ => "-".to_owned(),
    };
    fields.iter().map(value).collect::<Vec<_>>().join("|")
}
