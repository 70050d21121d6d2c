//! Every moment on record lies within the run, whatever the clocks of instances say.

use super::Evidence;

/// What may lie between this machine's clock and the database's.
const TOLERANCE: i64 = 1_000_000;

pub(super) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let record = evidence.record;
    let of_events = record
        .events
        .iter()
        .map(|row| ("event", row.id, Some(row.received_at)));
    let of_audit = record
        .audit
        .iter()
        .map(|row| ("record", row.id, Some(row.executed_at)));
    let of_executions = record.executions.iter().flat_map(|row| {
        let moments = [
            Some(row.executed_at),
            row.acknowledged_at,
            row.started_at,
            row.finished_at,
        ];
        moments.map(|moment| ("execution", row.id, moment))
    });
    let of_attempts = record.attempts.iter().flat_map(|row| {
        [Some(row.started_at), row.finished_at].map(|moment| ("attempt of", row.execution, moment))
    });
    let moments = of_events
        .chain(of_audit)
        .chain(of_executions)
        .chain(of_attempts);
    let range = evidence.from - TOLERANCE..=evidence.until + TOLERANCE;
    moments
        .filter_map(|(what, id, moment)| Some((what, id, moment?)))
        .filter(|(_, _, moment)| !range.contains(moment))
        .map(|(what, id, moment)| {
            let seconds = (moment - evidence.from) / 1_000_000;
            format!("{what} {id} has a moment {seconds} s after the run began")
        })
        .collect()
}
