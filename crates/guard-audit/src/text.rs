//! An export as text.

use thiserror::Error;

use crate::export::Line;
use crate::ocsf;

/// What is written of an export: a line for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportText {
    /// Every line: this can be verified.
    Lines,
    /// Records as events of the Open Cybersecurity Schema Framework, from one moment on and before another, in microseconds since
    /// the Unix epoch.
    Ocsf {
        /// From when on.
        since: i64,
        /// Before when.
        until: i64,
    },
}

/// A line that cannot be written.
#[derive(Debug, Error)]
#[error("a line of the export cannot be written")]
pub struct TextError(#[from] serde_json::Error);

impl ExportText {
    /// Adds what is written of a line.
    ///
    /// # Errors
    /// [`TextError`] for a record that is not in canonical form.
    pub fn add(self, line: &Line, text: &mut Vec<u8>) -> Result<(), TextError> {
        let (since, until) = match self {
            Self::Lines => {
                serde_json::to_writer(&mut *text, line)?;
                text.push(b'\n');
                return Ok(());
            }
            Self::Ocsf { since, until } => (since, until),
        };
        let Line::Link(link) = line else {
            return Ok(());
        };
        if !(since..until).contains(&link.created_at) {
            return Ok(());
        }
        for record in &link.records {
            if let Some(canonical) = &record.record {
                serde_json::to_writer(&mut *text, &ocsf::event(canonical, link, record)?)?;
                text.push(b'\n');
            }
        }
        Ok(())
    }
}
