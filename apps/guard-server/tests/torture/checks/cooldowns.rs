//! A rule acts on a value at most once within its cooldown, unless what it did came to nothing.

use std::collections::HashMap;

use sqlx::types::Uuid;

use super::super::record::ExecutionRow;
use super::{CLOCKS, Decided, Evidence};

/// The rules that rest, and for how long, in minutes.
const COOLDOWNS: [(&str, i64); 3] = [("lock", 60), ("brief", 1), ("work", 60)];

pub(super) fn check(evidence: &Evidence<'_>, events: &HashMap<Uuid, Decided<'_>>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut acts: HashMap<(&str, &str), Vec<&ExecutionRow>> = HashMap::new();
    for execution in &evidence.record.executions {
        if let Some(event) = events.get(&execution.event) {
            acts.entry((&execution.rule, &event.value))
                .or_default()
                .push(execution);
        }
    }
    for ((rule, value), acts) in &acts {
        let Some((_, minutes)) = COOLDOWNS.iter().find(|(name, _)| name == rule) else {
            wrong.push(format!("rule {rule} acted, which has no playbook"));
            continue;
        };
        for pair in acts.windows(2) {
            let (before, next) = (pair[0], pair[1]);
            let apart = next.executed_at - before.executed_at;
            let ended = before.finished_at.unwrap_or(i64::MAX);
            let released = before.state == "dead" && ended <= next.executed_at + CLOCKS;
            if apart < minutes * 60_000_000 && !released {
                wrong.push(format!(
                    "rule {rule} acted twice on `{value}` within {} ms: executions {} and {}",
                    apart / 1000,
                    before.id,
                    next.id
                ));
            }
        }
    }
    for event in events
        .values()
        .filter(|event| event.row.decision == "suppressed")
    {
        let of_value = acts.get(&(event.used.as_str(), event.value.as_str()));
        let decided = event.audit.first().map_or(0, |audit| audit.executed_at);
        let held_back = |act: &&ExecutionRow| act.executed_at <= decided + CLOCKS;
        if !of_value.is_some_and(|acts| acts.iter().any(held_back)) {
            wrong.push(format!(
                "event {} was suppressed, and nothing had acted before",
                event.row.id
            ));
        }
    }
    wrong
}
