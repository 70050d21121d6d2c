//! One claim at a time: the next attempt begins when the one before has ended or its lease has, and none begins after n8n
//! took the execution or it ended. What an outdated claim reports would break this.

use std::collections::HashMap;

use sqlx::types::Uuid;

use super::super::place::LEASE;
use super::super::record::{AttemptRow, ExecutionRow};
use super::{CLOCKS, Evidence};

pub(super) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut attempts: HashMap<Uuid, Vec<&AttemptRow>> = HashMap::new();
    for attempt in &evidence.record.attempts {
        attempts.entry(attempt.execution).or_default().push(attempt);
    }
    for execution in &evidence.record.executions {
        let attempts = attempts.remove(&execution.id).unwrap_or_default();
        let mut say = |what: String| wrong.push(format!("execution {} {what}", execution.id));
        check_numbers(execution, &attempts, &mut say);
        check_turns(&attempts, &mut say);
        for attempt in &attempts {
            for (moment, what) in [
                (execution.acknowledged_at, "was acknowledged"),
                (execution.started_at, "had started"),
                (execution.finished_at, "was over"),
            ] {
                if moment.is_some_and(|moment| attempt.started_at > moment + CLOCKS) {
                    say(format!(
                        "was claimed again, by {}, after it {what}",
                        attempt.instance
                    ));
                }
            }
        }
    }
    wrong
}

fn check_numbers(execution: &ExecutionRow, attempts: &[&AttemptRow], say: &mut impl FnMut(String)) {
    let consecutive = (1_i64..)
        .zip(attempts)
        .all(|(number, attempt)| attempt.attempt == number && attempt.epoch == number);
    let count = attempts.len() as i64;
    if !consecutive || execution.attempts != count || execution.epoch != count {
        let found: Vec<_> = attempts
            .iter()
            .map(|attempt| (attempt.attempt, attempt.epoch))
            .collect();
        say(format!(
            "counts {} attempts and epoch {}, and has the attempts and epochs {found:?}",
            execution.attempts, execution.epoch
        ));
    }
}

fn check_turns(attempts: &[&AttemptRow], say: &mut impl FnMut(String)) {
    let lease = LEASE.as_micros() as i64;
    for pair in attempts.windows(2) {
        let (before, next) = (pair[0], pair[1]);
        let lease_end = before.started_at + lease;
        let free = before
            .finished_at
            .map_or(lease_end, |ended| ended.min(lease_end));
        if next.started_at < free - CLOCKS {
            say(format!(
                "was claimed by {} for attempt {} {} ms before the claim of {} for attempt {} had ended",
                next.instance,
                next.attempt,
                (free - next.started_at) / 1000,
                before.instance,
                before.attempt
            ));
        }
    }
}
