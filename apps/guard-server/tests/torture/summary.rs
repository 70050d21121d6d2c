//! What a run came to, as a table.

use std::time::Duration;

use super::checks::Evidence;
use super::fleet::Done;
use super::load::Fate;
use super::options::Options;
use super::run::value;

/// Names and numbers.
pub(crate) struct Summary(Vec<(&'static str, String)>);

impl Summary {
    pub(crate) fn of(
        options: &Options,
        seed: u64,
        took: Duration,
        evidence: &Evidence<'_>,
        done: &Done,
        open: usize,
    ) -> Self {
        let (book, seen, record) = (evidence.book, evidence.seen, evidence.record);
        let fates = || book.events.iter().flat_map(|event| &event.fates);
        let count = |wanted: fn(&Fate) -> bool| fates().filter(|fate| wanted(fate)).count();
        let in_state = |state: &str| {
            record
                .executions
                .iter()
                .filter(|row| row.state == state)
                .count()
        };
        let chains = record.links.iter().filter(|row| row.link == 1).count();
        let answered = book
            .events
            .iter()
            .filter(|event| event.is_answered())
            .count();
        let starts: usize = seen
            .acting
            .values()
            .map(std::collections::HashSet::len)
            .sum();
        Self(vec![
            ("run", options.describe()),
            ("seed", seed.to_string()),
            ("took, s", took.as_secs().to_string()),
            ("instances killed", value(&done.kills).to_string()),
            ("instances stopped", value(&done.stops).to_string()),
            (
                "instances frozen (claims taken over)",
                format!("{} ({})", value(&done.freezes), value(&done.takeovers)),
            ),
            ("PostgreSQL broken off", value(&done.breaks).to_string()),
            ("clock jumps", value(&done.jumps).to_string()),
            ("events sent", book.events.len().to_string()),
            ("events answered", answered.to_string()),
            (
                "answers that were replays",
                count(|fate| matches!(fate, Fate::Answered(receipt) if receipt.replayed))
                    .to_string(),
            ),
            (
                "requests refused, nothing recorded",
                count(|fate| matches!(fate, Fate::NotRecorded)).to_string(),
            ),
            (
                "requests without a known outcome",
                count(|fate| matches!(fate, Fate::Unknown)).to_string(),
            ),
            (
                "longest silence, s",
                format!("{:.1}", book.silence.as_secs_f64()),
            ),
            ("events on record", record.events.len().to_string()),
            (
                "links in chains",
                format!("{} in {chains}", record.links.len()),
            ),
            ("executions", record.executions.len().to_string()),
            (
                "succeeded, failed",
                format!("{}, {}", in_state("succeeded"), in_state("failed")),
            ),
            (
                "unconfirmed, dead",
                format!("{}, {}", in_state("unconfirmed"), in_state("dead")),
            ),
            ("still open", open.to_string()),
            (
                "attempts, deliveries",
                format!("{}, {}", record.attempts.len(), seen.deliveries.len()),
            ),
            (
                "starts, starts refused",
                format!("{starts}, {}", seen.refused_starts),
            ),
        ])
    }

    pub(crate) fn print(&self) {
        println!();
        for (name, value) in &self.0 {
            println!("| {name} | {value} |");
        }
        println!();
    }
}
