//! What must hold after everything. Each check says everything that it finds wrong.

mod answers;
mod chain;
mod claims;
mod cooldowns;
mod deliveries;
mod executions;
mod time;
mod windows;

use std::collections::HashMap;

use serde_json::Value;
use sqlx::types::Uuid;

use super::load::Book;
use super::record::{AuditRow, EventRow, Record};
use super::stand_in::Seen;

/// How far the clocks of two instances may be apart: each guesses when the database read its own, between a question and
/// its answer.
const CLOCKS: i64 = 250_000;

/// What a check found.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) check: &'static str,
    pub(crate) what: String,
}

/// What the checks look at.
pub(crate) struct Evidence<'a> {
    pub(crate) book: &'a Book,
    pub(crate) seen: &'a Seen,
    pub(crate) record: &'a Record,
    /// When the run began and ended, by the clock of this machine, in microseconds.
    pub(crate) from: i64,
    pub(crate) until: i64,
}

/// An event on record, with what the load put into it, and its decision.
struct Decided<'a> {
    row: &'a EventRow,
    number: Option<usize>,
    used: String,
    value: String,
    audit: Vec<&'a AuditRow>,
}

/// Runs every check.
pub(crate) fn all(evidence: &Evidence<'_>) -> Vec<Violation> {
    let events = decided(evidence.record);
    let mut violations = Vec::new();
    let mut check = |check, found: Vec<String>| {
        violations.extend(found.into_iter().map(|what| Violation { check, what }));
    };
    check("answers", answers::check(evidence, &events));
    check("executions", executions::check(evidence, &events));
    check("deliveries", deliveries::check(evidence));
    check("claims", claims::check(evidence));
    check("cooldowns", cooldowns::check(evidence, &events));
    check("windows", windows::check(&events));
    check("chain", chain::check(evidence, &events));
    check("time", time::check(evidence));
    violations
}

fn decided(record: &Record) -> HashMap<Uuid, Decided<'_>> {
    let mut events: HashMap<Uuid, Decided<'_>> = record
        .events
        .iter()
        .map(|row| {
            let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
            let context = &body["context"];
            let text = |name: &str| context[name].as_str().unwrap_or_default().to_owned();
            let event = Decided {
                row,
                number: context["number"].as_u64().map(|number| number as usize),
                used: text("use"),
                value: text("v"),
                audit: Vec::new(),
            };
            (row.id, event)
        })
        .collect();
    for audit in &record.audit {
        if let Some(event) = audit.event.and_then(|id| events.get_mut(&id)) {
            event.audit.push(audit);
        }
    }
    events
}
