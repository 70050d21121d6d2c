//! What came of the scenarios, as a table.

use std::time::Duration;

/// One line for each scenario.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<(String, Duration, Result<String, String>)>,
}

impl Table {
    pub(crate) fn add(&mut self, name: &str, took: Duration, outcome: Result<String, String>) {
        self.rows.push((name.to_owned(), took, outcome));
    }

    /// Whether there were any, and all did what they should.
    pub(crate) fn passed(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|(_, _, outcome)| outcome.is_ok())
    }

    /// Prints it in Markdown.
    pub(crate) fn print(&self) {
        println!("| scenario | | took | what was seen |");
        println!("|---|---|---:|---|");
        for (name, took, outcome) in &self.rows {
            let (word, seen) = match outcome {
                Ok(seen) => ("passed", seen),
                Err(why) => ("FAILED", why),
            };
            let seen = seen.replace('|', "\\|").replace('\n', " ");
            println!("| {name} | {word} | {:.1} s | {seen} |", took.as_secs_f64());
        }
    }
}
