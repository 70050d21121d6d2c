//! What holds rules back: cooldowns, undelivered executions, pauses.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use guard_domain::{PlaybookName, Rule, RuleId};

use crate::decide::{Effect, Verdict};

/// What a decision needs to know of the past.
pub trait Standing {
    /// Until when a rule rests for a cooldown value; `None` if it does not.
    fn cooling_until(&self, rule: &RuleId, value: &str) -> Option<DateTime<Utc>>;

    /// Whether an execution of the rule for this cooldown value has not been delivered yet.
    fn has_undelivered(&self, rule: &RuleId, value: &str) -> bool;

    /// The scope of the pause that holds the rule back, if one does.
    fn paused_by(&self, rule: &Rule) -> Option<String>;
}

/// What is paused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pauses {
    /// Everything.
    pub all: bool,
    /// These rules.
    pub rules: HashSet<RuleId>,
    /// These playbooks.
    pub playbooks: HashSet<PlaybookName>,
}

impl Pauses {
    /// The scope that holds a rule back, if one does: `all`, `rule:<id>` or `playbook:<name>`.
    #[must_use]
    pub fn scope_of(&self, rule: &Rule) -> Option<String> {
        if self.all {
            return Some("all".to_owned());
        }
        if self.rules.contains(&rule.id) {
            return Some(format!("rule:{}", rule.id));
        }
        let playbook = rule
            .playbook()
            .filter(|name| self.playbooks.contains(*name))?;
        Some(format!("playbook:{playbook}"))
    }
}

/// Standing that is kept in memory: of one batch of the ledger, or of a whole simulation.
#[derive(Debug, Clone, Default)]
pub struct StandingState {
    /// What is paused.
    pub pauses: Pauses,
    cooldowns: HashMap<(RuleId, String), DateTime<Utc>>,
    undelivered: HashSet<(RuleId, String)>,
}

impl StandingState {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(pauses: Pauses) -> Self {
        Self {
            pauses,
            ..Self::default()
        }
    }

    /// Notes that a rule rests for a cooldown value until a moment.
    pub fn set_cooldown(&mut self, rule: RuleId, value: String, until: DateTime<Utc>) {
        self.cooldowns.insert((rule, value), until);
    }

    /// Notes that an execution of a rule for a cooldown value has not been delivered yet.
    pub fn set_undelivered(&mut self, rule: RuleId, value: String) {
        self.undelivered.insert((rule, value));
    }

    /// Notes what a decision changes for those after it.
    pub fn apply(&mut self, verdict: &Verdict) {
        let Some(claim) = &verdict.claim else { return };
        if let Some(until) = claim.until {
            self.set_cooldown(claim.rule_id.clone(), claim.value.clone(), until);
        }
        if matches!(verdict.effect, Effect::Playbook { dry_run: false, .. }) {
            self.set_undelivered(claim.rule_id.clone(), claim.value.clone());
        }
    }

    /// Notes that every execution has been delivered.
    pub fn deliver_all(&mut self) {
        self.undelivered.clear();
    }
}

impl Standing for StandingState {
    fn cooling_until(&self, rule: &RuleId, value: &str) -> Option<DateTime<Utc>> {
        self.cooldowns
            .get(&(rule.clone(), value.to_owned()))
            .copied()
    }

    fn has_undelivered(&self, rule: &RuleId, value: &str) -> bool {
        self.undelivered.contains(&(rule.clone(), value.to_owned()))
    }

    fn paused_by(&self, rule: &Rule) -> Option<String> {
        self.pauses.scope_of(rule)
    }
}
