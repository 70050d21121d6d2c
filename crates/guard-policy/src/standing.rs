//! What holds rules back: cooldowns, undelivered executions, pauses, windows that are not reached.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use guard_domain::{PlaybookName, Rule, RuleId};

use crate::verdict::{Effect, Verdict};
use crate::window::WindowCount;

/// What a decision needs to know of the past.
pub trait Standing {
    /// Until when a rule rests for a cooldown value; `None` if it does not.
    fn cooling_until(&self, rule: &RuleId, value: &str) -> Option<DateTime<Utc>>;

    /// Whether an execution of the rule for this cooldown value has not been delivered yet.
    fn has_undelivered(&self, rule: &RuleId, value: &str) -> bool;

    /// The scope of the pause that holds the rule back, if one does.
    fn paused_by(&self, rule: &Rule) -> Option<String>;

    /// How many matches of a rule for a window value are known after a moment. No more than the rule's count need be
    /// known, the newest ones.
    fn matches_after(&self, rule: &RuleId, value: &str, after: DateTime<Utc>) -> u32;
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
    /// The oldest first.
    matches: HashMap<(RuleId, String), Vec<DateTime<Utc>>>,
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

    /// Whether the matches of a rule for a window value are known, be it that there are none.
    #[must_use]
    pub fn knows_matches(&self, rule: &RuleId, value: &str) -> bool {
        self.matches.contains_key(&(rule.clone(), value.to_owned()))
    }

    /// Notes the matches of a rule for a window value, in place of those known.
    pub fn set_matches(&mut self, rule: RuleId, value: String, mut moments: Vec<DateTime<Utc>>) {
        moments.sort_unstable();
        self.matches.insert((rule, value), moments);
    }

    /// Notes a match, and drops the oldest ones that the rule's count has no need of.
    fn add_match(&mut self, window: &WindowCount) {
        let key = (window.rule_id.clone(), window.value.clone());
        let moments = self.matches.entry(key).or_default();
        let place = moments.partition_point(|moment| *moment <= window.at);
        moments.insert(place, window.at);
        let needed = usize::try_from(window.count).unwrap_or(usize::MAX);
        moments.drain(..moments.len().saturating_sub(needed));
    }

    /// Notes what a decision changes for those after it.
    pub fn apply(&mut self, verdict: &Verdict) {
        for window in &verdict.windows {
            self.add_match(window);
        }
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

    fn matches_after(&self, rule: &RuleId, value: &str, after: DateTime<Utc>) -> u32 {
        let known = self.matches.get(&(rule.clone(), value.to_owned()));
        let count = known.map_or(0, |moments| {
            moments.len() - moments.partition_point(|moment| *moment <= after)
        });
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}
