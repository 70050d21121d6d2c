//! What the guard decided about an event.

use crate::RuleId;

crate::words::words! {
    /// The kind of a decision, in the words of the contract.
    ///
    /// A playbook that is queued but not yet acknowledged is answered as `playbook_queued`; on record it is
    /// `playbook_triggered`, and its execution has the state.
    pub enum DecisionKind as "decision" {
        /// A playbook runs, or will.
        PlaybookTriggered => "playbook_triggered",
        /// A playbook waits for a human's approval.
        AwaitingApproval => "awaiting_approval",
        /// A playbook waits for a human to take over, or for the grace period to end.
        AwaitingAcknowledgement => "awaiting_acknowledgement",
        /// A human was called.
        Escalated => "escalated",
        /// Noted in the log.
        Logged => "logged",
        /// A rule says to do nothing.
        Ignored => "ignored",
        /// Rules matched, and none of them may act now.
        Suppressed => "suppressed",
        /// A rule or the server is in dry-run: nothing was done.
        DryRun => "dry_run",
        /// The event is too old to act on.
        Stale => "stale",
        /// No rule matched.
        NoAction => "no_action",
    }
}

/// A decision on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What was decided.
    pub kind: DecisionKind,
    /// The rule that decided; the first that matched if all of them were suppressed.
    pub rule_id: Option<RuleId>,
    /// The version of that rule.
    pub rule_version: Option<u32>,
    /// The revision of the rule set that was live.
    pub revision: u64,
    /// Why, in a sentence.
    pub message: String,
}
