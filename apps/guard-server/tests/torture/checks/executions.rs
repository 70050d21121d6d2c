//! Every decision that names a playbook has exactly one execution, and no other has one; none is stuck.

use std::collections::HashMap;

use sqlx::types::Uuid;

use super::{Decided, Evidence};

/// How an execution may stand when everything is over.
const OVER: [&str; 4] = ["succeeded", "failed", "unconfirmed", "dead"];

pub(super) fn check(evidence: &Evidence<'_>, events: &HashMap<Uuid, Decided<'_>>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut of_event: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for execution in &evidence.record.executions {
        of_event
            .entry(execution.event)
            .or_default()
            .push(execution.id);
        if !OVER.contains(&execution.state.as_str()) {
            wrong.push(format!(
                "execution {} is stuck: it is `{}`",
                execution.id, execution.state
            ));
        }
        if !events.contains_key(&execution.event) {
            wrong.push(format!("execution {} has no event", execution.id));
        }
    }
    for event in events.values() {
        let found = of_event.remove(&event.row.id).unwrap_or_default();
        let named: Vec<Uuid> = event
            .audit
            .iter()
            .filter_map(|audit| audit.execution)
            .collect();
        let triggers = event.row.decision == "playbook_triggered";
        if found.len() != usize::from(triggers) || found != named {
            wrong.push(format!(
                "event {} was decided `{}`: its record names {named:?}, its executions are {found:?}",
                event.row.id, event.row.decision
            ));
        }
    }
    wrong
}
