//! Rules and evaluations.

use guard_app::ports::RuleDefinition;
use guard_app::{ConditionExplanation, Finding, Preview, RuleExplanation};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::raw;

/// The live rules.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleList {
    /// The rules, in the order of their source.
    pub(crate) items: Vec<RuleBody>,
    /// Give it as `cursor` for the next page; `null` on the last one.
    pub(crate) next_cursor: Option<String>,
    /// The live revision; 0 before the first.
    pub(crate) revision: u64,
}

/// A live rule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleBody {
    /// Its id.
    id: String,
    /// Its version.
    version: u32,
    /// The revision that holds it.
    revision: u64,
    /// The rule itself.
    #[schema(value_type = Object)]
    rule: Box<RawValue>,
}

impl RuleBody {
    pub(crate) fn of((rule, version): (RuleDefinition, u32), revision: u64) -> Self {
        Self {
            id: rule.id.to_string(),
            version,
            revision,
            rule: raw(rule.definition),
        }
    }
}

/// What would be decided about an event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EvaluationBody {
    /// The decision.
    #[schema(example = "playbook_triggered")]
    decision: &'static str,
    /// The rule that would decide.
    rule_id: Option<String>,
    /// Why, in a sentence.
    message: String,
    /// The rules whose conditions hold and that are active or in dry-run, in order.
    matches: Vec<String>,
    /// What became of each rule.
    explanation: Vec<ExplanationBody>,
    /// What is to be said of the rules, as `guard-server rules check` says it; only if they came with the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Vec<FindingBody>>,
}

/// Something about a rule that its author should know.
#[derive(Debug, Serialize, ToSchema)]
struct FindingBody {
    /// The rule.
    rule_id: String,
    /// Where in the rule; empty for the whole rule.
    #[schema(example = "/conditions/0")]
    pointer: String,
    /// What kind of thing it is.
    #[schema(example = "shadowed")]
    kind: &'static str,
    /// `error` if the rule can never decide anything, else `warning`.
    #[schema(example = "warning")]
    level: &'static str,
    /// What is the matter.
    detail: String,
}

impl From<Finding> for FindingBody {
    fn from(finding: Finding) -> Self {
        Self {
            rule_id: finding.rule_id.to_string(),
            pointer: finding.pointer,
            kind: finding.kind.as_str(),
            level: finding.level.as_str(),
            detail: finding.detail,
        }
    }
}

/// What became of one rule.
#[derive(Debug, Serialize, ToSchema)]
struct ExplanationBody {
    /// The rule.
    rule_id: String,
    /// Whether it matched.
    matched: bool,
    /// Every test of its conditions.
    conditions: Vec<ConditionBody>,
    /// Why it would not act; `null` for the rule that would.
    skipped_because: Option<String>,
}

/// What became of one test.
#[derive(Debug, Serialize, ToSchema)]
struct ConditionBody {
    /// Where it stands in the rule.
    #[schema(example = "/conditions/0")]
    pointer: String,
    /// The test in words.
    #[schema(example = "context.failed_logins gte 10")]
    test: String,
    /// Whether it holds.
    holds: bool,
    /// The value of its field; `null` if the event has none.
    #[schema(value_type = Option<Object>)]
    found: Option<Box<RawValue>>,
}

impl From<ConditionExplanation> for ConditionBody {
    fn from(condition: ConditionExplanation) -> Self {
        Self {
            pointer: condition.pointer,
            test: condition.test,
            holds: condition.holds,
            found: condition.found.map(raw),
        }
    }
}

impl From<RuleExplanation> for ExplanationBody {
    fn from(rule: RuleExplanation) -> Self {
        Self {
            rule_id: rule.rule_id.to_string(),
            matched: rule.matched,
            conditions: rule.conditions.into_iter().map(Into::into).collect(),
            skipped_because: rule.skipped_because,
        }
    }
}

impl From<Preview> for EvaluationBody {
    fn from(preview: Preview) -> Self {
        let decision = preview.verdict.decision;
        Self {
            decision: decision.kind.as_str(),
            rule_id: decision.rule_id.map(|id| id.to_string()),
            message: decision.message,
            matches: preview.matches.iter().map(ToString::to_string).collect(),
            explanation: preview.explanation.into_iter().map(Into::into).collect(),
            findings: preview
                .findings
                .map(|list| list.into_iter().map(Into::into).collect()),
        }
    }
}
