//! What is counted when a workflow's result is on record.

use chrono::{DateTime, Utc};
use guard_domain::{Execution, ExecutionState};
use metrics::histogram;

use crate::metric;

/// Counts the end of an execution that has a result: how it ended, how long the workflow took, and, if it did its work, how
/// long it was since the decision. A rehearsal is not counted: it did nothing.
pub(crate) fn count_result(execution: &Execution, now: DateTime<Utc>) {
    if execution.dry_run {
        return;
    }
    let playbook = execution.playbook.as_str();
    metric::count_by(
        metric::EXECUTIONS_ENDED,
        playbook,
        "state",
        execution.state.as_str(),
    );
    let seconds = |since: DateTime<Utc>| (now - since).to_std().unwrap_or_default().as_secs_f64();
    let label = || playbook.to_owned();
    let began = execution
        .started_at
        .or(execution.acknowledged_at)
        .unwrap_or(execution.executed_at);
    histogram!(metric::EXECUTION_DURATION, "playbook" => label()).record(seconds(began));
    if execution.state == ExecutionState::Succeeded {
        histogram!(metric::RESOLUTION_TIME, "playbook" => label())
            .record(seconds(execution.executed_at));
    }
}
