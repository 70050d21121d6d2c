//! What is wrong with rule files.

use std::fmt;

use thiserror::Error;

use super::Place;

/// What kind of thing is wrong with a rule file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiagnosticKind {
    /// The text is no YAML or JSON, so that nothing of the file could be read.
    Syntax,
    /// It does not say what the rule language can say: an unknown key or operator, a value of the wrong kind, an id that is
    /// taken.
    Language,
    /// A pattern would take more memory than it may.
    TooCostly,
    /// A server does not know what the rule names, or does not enforce a part of the language.
    Refused,
}

/// One thing that is wrong with a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of thing it is.
    pub kind: DiagnosticKind,
    /// The name of the file.
    pub file: String,
    /// Where in the file.
    pub place: Place,
    /// The rule it is about, if it has an id.
    pub rule: Option<String>,
    /// What is wrong, and what would be right.
    pub detail: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: ",
            self.file, self.place.line, self.place.column
        )?;
        if let Some(rule) = &self.rule {
            write!(f, "rule `{rule}`: ")?;
        }
        f.write_str(&self.detail)
    }
}

/// Everything that is wrong with a set of rule files.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct LoadError {
    /// At least one.
    pub diagnostics: Vec<Diagnostic>,
}

impl LoadError {
    /// The kind of the first thing that is wrong.
    #[must_use]
    pub fn kind(&self) -> DiagnosticKind {
        let first = self.diagnostics.first();
        first.map_or(DiagnosticKind::Language, |first| first.kind)
    }
}
