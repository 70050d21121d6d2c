//! What to do about an event, given the rules that match it and what holds them back.

use chrono::{DateTime, TimeDelta, Utc};
use guard_domain::{
    Action, ContactName, Decision, DecisionKind, EscalationReason, Event, RuleId, RuleMode,
    timestamp,
};

use crate::document::Document;
use crate::evaluate::{Evaluation, Match};
use crate::rule_set::{CompiledRule, RuleSet};
use crate::standing::Standing;
use crate::verdict::{CooldownClaim, Effect, Verdict};
use crate::window::{count_windows, ready};

/// What a server decides by, beside the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// An event that is older is not acted on; zero for no limit.
    pub max_age: TimeDelta,
    /// Whether every rule is treated as one of mode `dry_run`.
    pub dry_run: bool,
    /// Who is called when no rule says who.
    pub default_contact: ContactName,
}

impl Default for Terms {
    /// A limit of one hour, no dry-run, the contact `default`.
    fn default() -> Self {
        Self {
            max_age: TimeDelta::hours(1),
            dry_run: false,
            default_contact: ContactName::default_contact(),
        }
    }
}

/// Decides about one event. Pure: the same arguments give the same verdict.
///
/// A rule whose window is not reached counts as not matching. `now` is the time by which age, cooldowns and windows are
/// measured: the database's in a server, the event's own in a simulation.
#[must_use]
pub fn decide(
    rules: &RuleSet,
    event: &Event,
    evaluation: &Evaluation,
    standing: &impl Standing,
    now: DateTime<Utc>,
    terms: &Terms,
) -> Verdict {
    let context = Context {
        rules,
        event,
        now,
        terms,
    };
    if context.is_stale() {
        return Verdict {
            shadows: ids(&ready(&evaluation.shadows, &[])),
            ..context.stale()
        };
    }
    let windows = count_windows(rules, evaluation, standing, now);
    let matches = ready(&evaluation.matches, &windows);
    Verdict {
        shadows: ids(&ready(&evaluation.shadows, &windows)),
        windows,
        ..context.first_free(&matches, standing)
    }
}

fn ids(matches: &[&Match]) -> Vec<RuleId> {
    matches.iter().map(|found| found.rule_id.clone()).collect()
}

struct Context<'a> {
    rules: &'a RuleSet,
    event: &'a Event,
    now: DateTime<Utc>,
    terms: &'a Terms,
}

impl Context<'_> {
    fn verdict(&self, kind: DecisionKind, message: String) -> Verdict {
        Verdict {
            decision: Decision {
                kind,
                rule_id: None,
                rule_version: None,
                revision: self.rules.revision(),
                message,
            },
            effect: Effect::None,
            claim: None,
            held_back: Vec::new(),
            shadows: Vec::new(),
            windows: Vec::new(),
        }
    }

    fn is_stale(&self) -> bool {
        let limit = self.terms.max_age;
        !limit.is_zero() && self.now - self.event.timestamp() > limit
    }

    fn stale(&self) -> Verdict {
        let message = format!(
            "Too old to act on: the event happened {} ago, the limit is {}",
            length(self.now - self.event.timestamp()),
            length(self.terms.max_age)
        );
        let effect = Effect::Escalate {
            contact: self.terms.default_contact.clone(),
            reason: EscalationReason::Stale,
            message: message.clone(),
        };
        Verdict {
            effect,
            ..self.verdict(DecisionKind::Stale, message)
        }
    }

    /// The first match that nothing holds back decides.
    fn first_free(&self, matches: &[&Match], standing: &impl Standing) -> Verdict {
        let mut held_back = Vec::new();
        for found in matches {
            let Some(compiled) = self.rules.get(found.rank) else {
                continue;
            };
            match self.obstacle(compiled, found, standing) {
                Some(reason) => held_back.push((found.rule_id.clone(), reason)),
                None => {
                    return Verdict {
                        held_back,
                        ..self.act(compiled, found)
                    };
                }
            }
        }
        // If nothing decided, every match was held back.
        let Some(first) = matches.first().and_then(|found| self.rules.get(found.rank)) else {
            return self.verdict(DecisionKind::NoAction, "No rule matched".to_owned());
        };
        let reasons: Vec<_> = held_back
            .iter()
            .map(|(rule, reason)| format!("{rule} {reason}"))
            .collect();
        let message = format!("Suppressed: {}", reasons.join("; "));
        let mut verdict = self.verdict(DecisionKind::Suppressed, message);
        verdict.decision.rule_id = Some(first.rule.id.clone());
        verdict.decision.rule_version = Some(first.version);
        Verdict {
            held_back,
            ..verdict
        }
    }

    fn obstacle(
        &self,
        compiled: &CompiledRule,
        found: &Match,
        standing: &impl Standing,
    ) -> Option<String> {
        let rule = &compiled.rule;
        if let Some(scope) = standing.paused_by(rule) {
            return Some(format!("is paused ({scope})"));
        }
        let until = standing.cooling_until(&rule.id, &found.cooldown_value);
        if let Some(until) = until.filter(|until| *until > self.now) {
            return Some(format!("is in cooldown until {}", timestamp::format(until)));
        }
        let undelivered =
            rule.playbook().is_some() && standing.has_undelivered(&rule.id, &found.cooldown_value);
        undelivered.then(|| "has an execution that is undelivered".to_owned())
    }

    fn act(&self, compiled: &CompiledRule, found: &Match) -> Verdict {
        let rule = &compiled.rule;
        let dry_run = self.terms.dry_run || rule.mode == RuleMode::DryRun;
        let mut verdict = match self.action(compiled) {
            Err(missing) => return self.rendering_failed(compiled, &missing, dry_run),
            Ok(acting) if dry_run => self.rehearsed(acting),
            Ok((kind, message, effect)) => Verdict {
                effect,
                ..self.verdict(kind, message)
            },
        };
        verdict.decision.rule_id = Some(rule.id.clone());
        verdict.decision.rule_version = Some(compiled.version);
        let minutes = i64::from(rule.cooldown_minutes);
        verdict.claim = Some(CooldownClaim {
            rule_id: rule.id.clone(),
            value: found.cooldown_value.clone(),
            until: (minutes > 0).then(|| self.now + TimeDelta::minutes(minutes)),
        });
        verdict
    }

    /// What the rule does: the decision, its message and the effect; or what is missing in the event.
    fn action(&self, compiled: &CompiledRule) -> Result<(DecisionKind, String, Effect), String> {
        let document = || Document::parse(self.event.body()).map_err(|error| error.to_string());
        Ok(match &compiled.rule.action {
            Action::TriggerPlaybook { name, .. } => {
                let params = params_of(compiled, self.event)?;
                let message = format!("Triggered playbook: {name}");
                let effect = Effect::Playbook {
                    name: name.clone(),
                    params,
                    dry_run: false,
                };
                (DecisionKind::PlaybookTriggered, message, effect)
            }
            Action::Escalate { to, .. } => {
                let message = match &compiled.template {
                    None => format!(
                        "{} ({}) from {}",
                        self.event.event_type(),
                        self.event.severity(),
                        self.event.source()
                    ),
                    Some(template) => template
                        .render_text(&document()?)
                        .map_err(|missing| missing.to_string())?,
                };
                let (contact, reason) = (to.clone(), EscalationReason::Rule);
                let effect = Effect::Escalate {
                    contact,
                    reason,
                    message,
                };
                (
                    DecisionKind::Escalated,
                    format!("Escalated to: {to}"),
                    effect,
                )
            }
            Action::Log { level } => (
                DecisionKind::Logged,
                format!("Logged at level {level}"),
                Effect::Log(*level),
            ),
            Action::Ignore => {
                let message = format!("Ignored by rule: {}", compiled.rule.id);
                (DecisionKind::Ignored, message, Effect::None)
            }
        })
    }

    /// The verdict of a rule in dry-run: what would have happened, and an execution for the record.
    fn rehearsed(&self, (kind, _, effect): (DecisionKind, String, Effect)) -> Verdict {
        let would = match (&effect, kind) {
            (Effect::Playbook { name, .. }, _) => format!("triggered playbook: {name}"),
            (Effect::Escalate { contact, .. }, _) => format!("escalated to: {contact}"),
            (Effect::Log(level), _) => format!("logged at level {level}"),
            (Effect::None, _) => "ignored the event".to_owned(),
        };
        let effect = match effect {
            Effect::Playbook { name, params, .. } => Effect::Playbook {
                name,
                params,
                dry_run: true,
            },
            _ => Effect::None,
        };
        let message = format!("Dry run: would have {would}");
        Verdict {
            effect,
            ..self.verdict(DecisionKind::DryRun, message)
        }
    }

    /// A human is called instead; no cooldown is claimed and no other rule is tried.
    fn rendering_failed(&self, compiled: &CompiledRule, missing: &str, dry_run: bool) -> Verdict {
        let contact = &self.terms.default_contact;
        let what = match compiled.rule.playbook() {
            Some(playbook) => format!("the params of playbook {playbook} cannot be filled in"),
            None => "the message of the rule cannot be filled in".to_owned(),
        };
        let problem = format!("{what}: {missing}");
        let mut verdict = if dry_run {
            let message = format!("Dry run: would have escalated to: {contact}; {problem}");
            self.verdict(DecisionKind::DryRun, message)
        } else {
            let message = format!("Escalated to: {contact}; {problem}");
            let effect = Effect::Escalate {
                contact: contact.clone(),
                reason: EscalationReason::RenderingFailed,
                message: format!("Rule {}: {problem}", compiled.rule.id),
            };
            Verdict {
                effect,
                ..self.verdict(DecisionKind::Escalated, message)
            }
        };
        verdict.decision.rule_id = Some(compiled.rule.id.clone());
        verdict.decision.rule_version = Some(compiled.version);
        verdict
    }
}

/// What a rule sends to its playbook; or what is missing in the event.
fn params_of(compiled: &CompiledRule, event: &Event) -> Result<String, String> {
    let Some(template) = &compiled.template else {
        return Ok(event.context().to_owned());
    };
    let document = Document::parse(event.body()).map_err(|error| error.to_string())?;
    template
        .render(&document)
        .map_err(|missing| missing.to_string())
}

impl RuleSet {
    /// What a rule would send to its playbook about an event, as the text of a JSON object; its conditions are not asked.
    /// `None` if no rule of this id triggers a playbook.
    ///
    /// # Errors
    /// What is missing in the event to fill the params in, in a sentence.
    #[must_use]
    pub fn playbook_params(&self, id: &RuleId, event: &Event) -> Option<Result<String, String>> {
        let (_, compiled) = self
            .compiled()
            .find(|(_, compiled)| compiled.rule.id == *id && compiled.rule.playbook().is_some())?;
        Some(params_of(compiled, event))
    }
}

/// A length of time in words, in whole seconds.
fn length(delta: TimeDelta) -> String {
    let seconds = u64::try_from(delta.num_seconds()).unwrap_or(0);
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}
