//! A rule with a window acts exactly from its third match within five seconds on, whichever instances took the matches.

use std::collections::HashMap;

use sqlx::types::Uuid;

use super::{CLOCKS, Decided};

const COUNT: usize = 3;
const WITHIN: i64 = 5_000_000;

pub(super) fn check(events: &HashMap<Uuid, Decided<'_>>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut matches: HashMap<&str, Vec<(i64, bool, Uuid)>> = HashMap::new();
    for event in events.values().filter(|event| event.used == "burst") {
        if let Some(audit) = event.audit.first() {
            let acted = event.row.decision == "logged";
            let found = matches.entry(&event.value).or_default();
            found.push((audit.executed_at, acted, event.row.id));
        }
    }
    for (value, matches) in matches {
        for (at, acted, id) in &matches {
            let others = matches.iter().filter(|(_, _, other)| other != id);
            let between = |from: i64, until: i64| {
                let found = others
                    .clone()
                    .filter(|(moment, ..)| (from..=until).contains(moment));
                1 + found.count()
            };
            // Between instances the order is not known to the last millisecond.
            let most = between(at - WITHIN - CLOCKS, at + CLOCKS);
            let least = between(at - WITHIN + CLOCKS, at - CLOCKS);
            if *acted && most < COUNT {
                wrong.push(format!(
                    "event {id} is at most match {most} of `{value}`, and the rule acted"
                ));
            }
            if !acted && least >= COUNT {
                wrong.push(format!(
                    "event {id} is at least match {least} of `{value}`, and the rule did not act"
                ));
            }
        }
    }
    wrong
}
