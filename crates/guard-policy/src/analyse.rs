//! What is wrong with a rule set though every rule in it can be read.

mod fact;
mod fields;
mod logic;
mod shadow;
mod structure;

use std::fmt;

use guard_domain::{Rule, RuleId, RuleMode};

use crate::rule_set::RuleSet;
pub use fields::FieldCatalogue;
use structure::Structure;

/// Something about a rule that its author should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule_id: RuleId,
    /// Where in the rule: a JSON pointer such as `/conditions/0/any/1`; empty for the whole rule.
    pub pointer: String,
    /// What kind of thing it is.
    pub kind: FindingKind,
    /// Whether the rule cannot do what it is for.
    pub level: FindingLevel,
    /// What is the matter, in a sentence.
    pub detail: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingLevel {
    /// Worth a look.
    Warning,
    /// The rule can never decide anything.
    Error,
}

impl FindingLevel {
    /// Its name: `warning` or `error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What kind of thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindingKind {
    /// A condition, or a whole rule, that no event fulfils.
    NeverTrue,
    /// A condition that every event fulfils.
    AlwaysTrue,
    /// Conditions that no single value fulfils: they hold together only of an array with several elements.
    Contradiction,
    /// A rule that has no turn, because an earlier one takes its events.
    Shadowed,
    /// A field that no event of the rule's types is known to have.
    UnknownField,
    /// A pattern that takes much memory.
    CostlyPattern,
}

impl FindingKind {
    /// Its name: `never_true` and so on.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverTrue => "never_true",
            Self::AlwaysTrue => "always_true",
            Self::Contradiction => "contradiction",
            Self::Shadowed => "shadowed",
            Self::UnknownField => "unknown_field",
            Self::CostlyPattern => "costly_pattern",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule `{}`: {}", self.rule_id, self.detail)?;
        if self.pointer.is_empty() {
            return Ok(());
        }
        write!(f, " (at {})", self.pointer)
    }
}

/// Finds what is wrong with rules beyond their spelling: conditions that never or always hold, rules that an earlier one
/// shadows, fields that `fields` does not know, costly patterns. Findings come in the order in which the rules decide.
///
/// What is reported as an error is so for every event that the guard accepts. Not everything that is so is found.
///
/// ```
/// use guard_policy::{FieldCatalogue, RuleFile, SourceFormat, analyse};
///
/// let text = r#"
/// rules:
///   - { id: all, event_type: "*", priority: 9, action: ignore }
///   - { id: some, event_type: backup_failed, action: { escalate: { to: default } } }
/// "#;
/// let file = RuleFile::parse("rules.yaml", text, SourceFormat::Yaml)?;
/// let rules = file.compile()?;
///
/// let findings = analyse(&rules, &FieldCatalogue::default());
/// assert_eq!(findings[0].kind.as_str(), "shadowed");
/// assert_eq!(findings[0].rule_id.as_str(), "some");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn analyse(rules: &RuleSet, fields: &FieldCatalogue) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut shadows = shadow::Shadows::default();
    for (_, compiled) in rules.compiled() {
        let rule = &compiled.rule;
        if rule.mode == RuleMode::Disabled {
            continue;
        }
        let before = findings.len();
        let implied = fact::implied(rule);
        let structure = Structure::of(compiled, &implied);
        structure.report(rule, &mut findings);
        fields::report(rule, fields, &mut findings);
        let decides = matches!(rule.mode, RuleMode::Active | RuleMode::DryRun);
        let never = findings
            .iter()
            .skip(before)
            .any(|found| found.level == FindingLevel::Error);
        if decides && !never {
            findings.extend(shadows.find(compiled, &structure));
            shadows.add(compiled, &structure);
        }
    }
    findings
}

fn finding(
    rule: &Rule,
    pointer: &str,
    (kind, level): (FindingKind, FindingLevel),
    detail: String,
) -> Finding {
    Finding {
        rule_id: rule.id.clone(),
        pointer: pointer.to_owned(),
        kind,
        level,
        detail,
    }
}
