//! What operators order about executions, and what becomes of it.

use chrono::TimeDelta;
use guard_domain::{Event, EventId, Execution, ExecutionId, ExecutionState, PlaybookName, RuleId};

/// What became of a cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It is cancelled.
    Cancelled(Execution),
    /// It cannot be cancelled in this state.
    Refused(ExecutionState),
    /// There is no such execution.
    NotFound,
}

/// What became of the order to run an execution again, or to undo it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderOutcome {
    /// The new execution.
    Ordered(Execution),
    /// It cannot be ordered in this state.
    Refused(ExecutionState),
    /// It was a rehearsal: there is nothing to undo.
    Rehearsal,
    /// The same was ordered before, as this one, which has not ended.
    Open(ExecutionId),
    /// Its event is not kept any more, so that nothing could be delivered.
    EventGone,
    /// There is no such execution.
    NotFound,
}

/// A rehearsal: an execution by which a workflow says what it would do.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// The playbook.
    pub playbook: PlaybookName,
    /// The rule in whose place it is ordered, and its version.
    pub rule: (RuleId, u32),
    /// The live revision.
    pub revision: u64,
    /// The event that is rehearsed, which goes on record.
    pub event: Event,
    /// Its id.
    pub event_id: EventId,
    /// What to send: the text of a JSON object.
    pub params: String,
    /// How long it may take until it is delivered.
    pub deadline: TimeDelta,
}
