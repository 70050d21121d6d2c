//! Counting matches within a sliding time.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use guard_domain::{RuleId, Window};

use crate::evaluate::{Evaluation, Match};
use crate::rule_set::RuleSet;
use crate::standing::Standing;

/// A match of a rule with a window, and how many there are with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowCount {
    /// The rule.
    pub rule_id: RuleId,
    /// The window value; see [`Match::window_value`].
    pub value: String,
    /// When the match counts.
    pub at: DateTime<Utc>,
    /// The matches within the window, this one among them; never more than `count`.
    pub matches: u32,
    /// From how many on the rule acts.
    pub count: u32,
    /// The length of the window.
    pub within: Duration,
}

impl WindowCount {
    /// Whether there are enough matches for the rule to act.
    #[must_use]
    pub const fn is_reached(&self) -> bool {
        self.matches >= self.count
    }

    /// When the match counts no longer.
    #[must_use]
    pub fn until(&self) -> DateTime<Utc> {
        self.at + span(self.within)
    }
}

impl fmt::Display for WindowCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = humantime::format_duration(self.within);
        write!(
            f,
            "{} of {} matches within {within}",
            self.matches, self.count
        )
    }
}

/// Counts this match for every rule with a window that looks at the event, whatever will decide about it.
pub(crate) fn count_windows(
    rules: &RuleSet,
    evaluation: &Evaluation,
    standing: &impl Standing,
    now: DateTime<Utc>,
) -> Vec<WindowCount> {
    let count = |found: &Match| {
        let Window { count, within, .. } = rules.get(found.rank)?.rule.window.as_ref()?;
        let value = found.window_value.as_deref()?;
        let before = standing.matches_after(&found.rule_id, value, now - span(*within));
        Some(WindowCount {
            rule_id: found.rule_id.clone(),
            value: value.to_owned(),
            at: now,
            matches: before.saturating_add(1).min(*count),
            count: *count,
            within: *within,
        })
    };
    let matches = evaluation.matches.iter().chain(&evaluation.shadows);
    matches.filter_map(count).collect()
}

/// The matches of a list that may act: of rules without window, and of those whose window is reached.
pub(crate) fn ready<'e>(list: &'e [Match], windows: &[WindowCount]) -> Vec<&'e Match> {
    let reached = windows.iter().filter(|window| window.is_reached());
    let reached: HashSet<_> = reached.map(|window| &window.rule_id).collect();
    let is_ready =
        |found: &&Match| found.window_value.is_none() || reached.contains(&found.rule_id);
    list.iter().filter(is_ready).collect()
}

/// Never longer than a window may be.
fn span(within: Duration) -> TimeDelta {
    TimeDelta::from_std(within.min(Window::MAX_WITHIN)).unwrap_or_default()
}
