//! Output that is pleasant on a terminal and plain in a pipe.

use std::io::IsTerminal;

use serde_json::Value;

/// The widest column on a terminal, in characters.
const WIDEST: usize = 60;

pub(super) struct Printer {
    terminal: bool,
}

/// A field of an object as text; nothing if there is no such field.
pub(super) fn field(of: &Value, name: &str) -> String {
    match of.get(name) {
        None => String::new(),
        Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

impl Printer {
    pub(super) fn new() -> Self {
        let colours = std::env::var_os("NO_COLOR").is_none();
        Self {
            terminal: colours && std::io::stdout().is_terminal(),
        }
    }

    pub(super) fn title(&self, text: &str) {
        println!("\n{}", self.paint(text, "1"));
    }

    pub(super) fn line(&self, text: &str) {
        println!("  {text}");
    }

    pub(super) fn table(&self, head: &[&str], rows: &[Vec<String>]) {
        let cut = |text: &str| -> String {
            if self.terminal && text.chars().count() > WIDEST {
                text.chars().take(WIDEST - 1).chain(['…']).collect()
            } else {
                text.to_owned()
            }
        };
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(|cell| cut(cell)).collect())
            .collect();
        let widths: Vec<usize> = head
            .iter()
            .enumerate()
            .map(|(i, title)| {
                let cells = rows.iter().filter_map(|row| row.get(i));
                cells
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
                    .max(title.len())
            })
            .collect();
        let head: Vec<String> = head.iter().map(|title| (*title).to_owned()).collect();
        println!("  {}", self.paint(&aligned(&head, &widths), "2"));
        for row in &rows {
            let line = aligned(row, &widths);
            let colour = row.iter().find_map(|cell| colour_of(cell));
            println!(
                "  {}",
                colour.map_or_else(|| line.clone(), |colour| self.paint(&line, colour))
            );
        }
        if rows.is_empty() {
            println!("  (none)");
        }
    }

    fn paint(&self, text: &str, code: &str) -> String {
        if self.terminal {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

fn aligned(cells: &[String], widths: &[usize]) -> String {
    let padded = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell:width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// The colour that a word gives its row.
fn colour_of(cell: &str) -> Option<&'static str> {
    match cell {
        "playbook_triggered" | "succeeded" => Some("32"),
        "escalated" | "playbook_queued" => Some("33"),
        "failed" | "dead" | "unconfirmed" => Some("31"),
        _ => None,
    }
}
