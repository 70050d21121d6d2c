//! What has been decided about an event, and what follows from it.

use chrono::{DateTime, Utc};
use guard_domain::{ContactName, Decision, EscalationReason, LogLevel, PlaybookName, RuleId};

use crate::window::WindowCount;

/// A decision and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The decision.
    pub decision: Decision,
    /// What to do.
    pub effect: Effect,
    /// The cooldown that the deciding rule claims.
    pub claim: Option<CooldownClaim>,
    /// The rules that matched and were held back, and why.
    pub held_back: Vec<(RuleId, String)>,
    /// The shadow rules that matched and whose window, if they have one, is reached.
    pub shadows: Vec<RuleId>,
    /// The windows in which the event counts: of every rule with one that matched. None if the event is stale.
    pub windows: Vec<WindowCount>,
}

/// The rest that a rule takes after it acted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CooldownClaim {
    /// The rule.
    pub rule_id: RuleId,
    /// The cooldown value; see [`Match::cooldown_value`](crate::Match::cooldown_value).
    pub value: String,
    /// When the rest ends; `None` for a rule without cooldown.
    pub until: Option<DateTime<Utc>>,
}

/// What to do about a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// Write a line to the log.
    Log(LogLevel),
    /// Run a playbook.
    Playbook {
        /// Its name.
        name: PlaybookName,
        /// What to send it: the text of a JSON object.
        params: String,
        /// Whether to record it only.
        dry_run: bool,
    },
    /// Call a human.
    Escalate {
        /// Whom.
        contact: ContactName,
        /// Why.
        reason: EscalationReason,
        /// What to say.
        message: String,
    },
}
