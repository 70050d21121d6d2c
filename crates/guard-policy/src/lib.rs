#![doc = include_str!("../README.md")]

pub mod source;

mod analyse;
mod condition;
mod decide;
mod document;
mod engine;
mod evaluate;
mod explain;
mod malformed;
mod matcher;
mod matches;
mod number;
mod rule_set;
mod simulate;
mod standing;
mod template;
mod truth_table;
mod verdict;
mod window;

#[cfg(test)]
mod agreement;

pub use analyse::{FieldCatalogue, Finding, FindingKind, FindingLevel, analyse};
pub use decide::{Terms, decide};
pub use engine::Scratch;
pub use evaluate::{Evaluation, Match};
pub use explain::{ConditionExplanation, RuleExplanation, explain};
pub use malformed::{MalformedEvent, MalformedKind};
pub use matches::Matches;
pub use rule_set::{CompileError, CompileErrorKind, RuleSet, VersionedRule};
pub use simulate::{TestFailure, run_tests, simulate};
pub use source::{
    Diagnostic, DiagnosticKind, Feature, LoadError, ParsedRule, Place, RuleFile, RuleTest,
    SourceFormat,
};
pub use standing::{Pauses, Standing, StandingState};
pub use verdict::{CooldownClaim, Effect, Verdict};
pub use window::WindowCount;
