//! The rules of a tenant at one revision, ready to evaluate.

use guard_domain::{Action, Literal, Rule, RuleId, RuleMode};
use thiserror::Error;

use crate::condition::Compiled;
use crate::engine::{Costs, Engine};
use crate::evaluate::Match;
use crate::template::Template;

/// A rule and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedRule {
    /// The rule.
    pub rule: Rule,
    /// Its version, from 1; every change of a rule makes a new one.
    pub version: u32,
}

/// A rule that cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("rule `{rule_id}`: {detail}")]
pub struct CompileError {
    /// The rule.
    pub rule_id: RuleId,
    /// What is wrong with it.
    pub detail: String,
    kind: CompileErrorKind,
}

/// Which part of a rule cannot be compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompileErrorKind {
    /// A condition: an operator has no use for its value, or a pattern or network is none.
    Condition,
    /// A placeholder in the params of a playbook or in a message.
    Template,
}

impl CompileError {
    /// Which part of the rule it is.
    #[must_use]
    pub const fn kind(&self) -> CompileErrorKind {
        self.kind
    }
}

/// The rules of a tenant at one revision: immutable, in the order in which they decide.
///
/// Rules of higher priority come first; of equal ones, those that were given first.
#[derive(Debug, Default)]
pub struct RuleSet {
    revision: u64,
    rules: Vec<CompiledRule>,
    engine: Engine,
}

/// A rule with its conditions and templates ready to use.
#[derive(Debug)]
pub(crate) struct CompiledRule {
    pub(crate) rule: Rule,
    pub(crate) version: u32,
    pub(crate) condition: Compiled,
    /// Of the params of a playbook or of the message of an escalation.
    pub(crate) template: Option<Template>,
}

impl RuleSet {
    /// Compiles the rules of a revision. Rules of mode `disabled` are kept, and never match.
    ///
    /// # Errors
    /// [`CompileError`] naming the first rule that cannot be compiled. Rules that were read by [`RuleFile`] always can.
    ///
    /// [`RuleFile`]: crate::RuleFile
    pub fn compile(revision: u64, rules: Vec<VersionedRule>) -> Result<Self, CompileError> {
        let mut rules = rules
            .into_iter()
            .map(compile_rule)
            .collect::<Result<Vec<_>, _>>()?;
        rules.sort_by_key(|compiled| std::cmp::Reverse(compiled.rule.priority));
        let mut set = Self {
            revision,
            rules,
            engine: Engine::default(),
        };
        set.plan(Costs::MEASURED);
        Ok(set)
    }

    /// Makes the engine anew. What its indexes cost decides which there are, and never what matches.
    pub(crate) fn plan(&mut self, costs: Costs) {
        let rules = self.rules.iter();
        let rules = rules.map(|compiled| (&compiled.rule, &compiled.condition));
        self.engine = Engine::new(rules, costs);
    }

    /// The revision; 0 for a set that is on no record.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The rules in the order in which they decide, with their versions.
    pub fn rules(&self) -> impl Iterator<Item = (&Rule, u32)> {
        self.rules
            .iter()
            .map(|compiled| (&compiled.rule, compiled.version))
    }

    /// How many rules decide: those of mode `active` or `dry_run`.
    #[must_use]
    pub fn active_count(&self) -> usize {
        let decides = |rule: &Rule| matches!(rule.mode, RuleMode::Active | RuleMode::DryRun);
        self.rules
            .iter()
            .filter(|compiled| decides(&compiled.rule))
            .count()
    }

    pub(crate) fn compiled(&self) -> impl Iterator<Item = (usize, &CompiledRule)> {
        self.rules.iter().enumerate()
    }

    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether the past can hold the rule of a match back: by its cooldown, or by an execution of it that is undelivered.
    /// What is paused holds every rule back.
    #[must_use]
    pub fn holds_back(&self, found: &Match) -> bool {
        self.get(found.rank).is_some_and(|compiled| {
            compiled.rule.cooldown_minutes > 0 || compiled.rule.playbook().is_some()
        })
    }

    pub(crate) fn get(&self, rank: usize) -> Option<&CompiledRule> {
        self.rules.get(rank)
    }
}

fn compile_rule(
    VersionedRule { rule, version }: VersionedRule,
) -> Result<CompiledRule, CompileError> {
    let wrong = |kind, detail: String| CompileError {
        rule_id: rule.id.clone(),
        detail,
        kind,
    };
    let conditions = rule.conditions.iter().map(Compiled::compile);
    let condition = Compiled::All(
        conditions
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(CompileErrorKind::Condition, error.to_string()))?,
    );
    let template = match &rule.action {
        Action::TriggerPlaybook {
            params: Some(params),
            ..
        } => Some(Template::compile(params)),
        Action::Escalate {
            message: Some(message),
            ..
        } => Some(Template::compile(&Literal::String(message.clone()))),
        _ => None,
    };
    let template = template
        .transpose()
        .map_err(|error| wrong(CompileErrorKind::Template, error.to_string()))?;
    Ok(CompiledRule {
        rule,
        version,
        condition,
        template,
    })
}
