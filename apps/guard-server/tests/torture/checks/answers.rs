//! Every answered event has exactly one row and one audit record; what was said not to be recorded is not; who repeats a
//! request hears the same.

use std::collections::HashMap;

use sqlx::types::Uuid;

use super::super::load::{Fate, Receipt, Sent};
use super::{Decided, Evidence};

pub(super) fn check(evidence: &Evidence<'_>, events: &HashMap<Uuid, Decided<'_>>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut rows: HashMap<usize, Vec<&Decided<'_>>> = HashMap::new();
    for event in events.values() {
        let (id, audit) = (event.row.id, event.audit.len());
        if audit != 1 {
            wrong.push(format!("event {id} has {audit} audit records"));
        }
        match event.number {
            Some(number) => rows.entry(number).or_default().push(event),
            None => wrong.push(format!("event {id} was never sent: {}", event.row.body)),
        }
    }
    for (number, sent) in evidence.book.events.iter().enumerate() {
        let rows = rows.remove(&number).unwrap_or_default();
        let mut say = |what: String| wrong.push(format!("event number {number} {what}"));
        check_event(sent, &rows, &mut say);
    }
    for number in rows.keys() {
        wrong.push(format!(
            "event number {number} is on record and was never sent"
        ));
    }
    wrong
}

fn check_event(sent: &Sent, rows: &[&Decided<'_>], say: &mut impl FnMut(String)) {
    for fate in &sent.fates {
        if let Fate::Wrong(what) = fate {
            say(format!("was answered {what}"));
        }
    }
    if rows.len() > 1 {
        say(format!("has {} rows", rows.len()));
    }
    let nothing_recorded = |fate: &Fate| matches!(fate, Fate::NotRecorded);
    if !rows.is_empty() && !sent.fates.is_empty() && sent.fates.iter().all(nothing_recorded) {
        say("is on record, and its sender was told that nothing was recorded".to_owned());
    }
    let mut receipts = sent.receipts();
    let Some(first) = receipts.next() else {
        if sent.key.is_some() && !sent.fates.is_empty() {
            say(format!(
                "has a key, and was posted {} times and never answered",
                sent.fates.len()
            ));
        }
        return;
    };
    for other in receipts {
        if (other.event, other.execution) != (first.event, first.execution) {
            say(format!(
                "was answered with different ids: {first:?} and {other:?}"
            ));
        }
    }
    let originals = sent.receipts().filter(|receipt| !receipt.replayed).count();
    if originals > 1 {
        // An answer whose commit was looked up is not marked, but there is only one commit.
        say(format!(
            "was answered {originals} times as if for the first time"
        ));
    }
    match rows.iter().find(|row| row.row.id == first.event) {
        Some(row) => check_decision(first, row, say),
        None => say(format!(
            "was answered as {}, which is not on record",
            first.event
        )),
    }
}

fn check_decision(receipt: &Receipt, row: &Decided<'_>, say: &mut impl FnMut(String)) {
    let answered = receipt
        .decision
        .replace("playbook_queued", "playbook_triggered");
    if answered != row.row.decision {
        say(format!(
            "was answered {answered}, and on record is {}",
            row.row.decision
        ));
    }
    for audit in &row.audit {
        if audit.decision.as_ref() != Some(&row.row.decision)
            || audit.execution != receipt.execution
        {
            say(format!(
                "was answered {receipt:?}, and its audit record says {:?}, execution {:?}",
                audit.decision, audit.execution
            ));
        }
    }
}
