//! The deliveries of an execution carry one id, each of its own attempt, and one run at most acts.

use std::collections::{HashMap, HashSet};

use super::Evidence;

pub(super) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let seen = evidence.seen;
    let mut wrong = seen.wrong.clone();
    let executions: HashMap<_, _> = evidence
        .record
        .executions
        .iter()
        .map(|row| (row.id, row))
        .collect();
    let attempts: HashSet<_> = evidence
        .record
        .attempts
        .iter()
        .map(|row| (row.execution, row.attempt))
        .collect();
    let mut delivered = HashSet::new();
    for delivery in &seen.deliveries {
        let (id, attempt) = (delivery.execution, delivery.attempt);
        if !delivered.insert((id, attempt)) {
            wrong.push(format!(
                "attempt {attempt} of execution {id} was delivered twice"
            ));
        }
        if !attempts.contains(&(id, attempt)) {
            wrong.push(format!(
                "attempt {attempt} of execution {id} was delivered and is not on record"
            ));
        }
        if executions
            .get(&id)
            .is_none_or(|row| row.event != delivery.event)
        {
            wrong.push(format!(
                "execution {id} was delivered for event {}",
                delivery.event
            ));
        }
    }
    for (id, runs) in &seen.acting {
        if runs.len() > 1 {
            wrong.push(format!(
                "execution {id} acted {} times: {runs:?}",
                runs.len()
            ));
        }
        let known = executions
            .get(id)
            .and_then(|row| row.n8n_execution.as_ref());
        if !known.is_some_and(|known| runs.contains(known)) {
            wrong.push(format!(
                "execution {id} was started by {runs:?}, and on record by {known:?}"
            ));
        }
    }
    for row in evidence.record.executions.iter() {
        let asked = |run| {
            seen.asking
                .get(&row.id)
                .is_some_and(|runs| runs.contains(run))
        };
        if row.n8n_execution.as_ref().is_some_and(|run| !asked(run)) {
            wrong.push(format!(
                "execution {} was started by {:?}, which never asked",
                row.id, row.n8n_execution
            ));
        }
    }
    for (id, succeeded) in &seen.results {
        let state = executions.get(id).map_or("gone", |row| row.state.as_str());
        let reported = if *succeeded { "succeeded" } else { "failed" };
        let failed = state == "failed" && seen.failed_by_answer.contains(id);
        if state != reported && !failed {
            wrong.push(format!(
                "execution {id} was reported `{reported}`, and is `{state}`"
            ));
        }
    }
    wrong
}
