#![doc = include_str!("../README.md")]

pub mod source;

mod condition;
mod decide;
mod document;
mod evaluate;
mod explain;
mod matcher;
mod number;
mod rule_set;
mod simulate;
mod standing;
mod template;
mod truth_table;
mod verdict;
mod window;

pub use decide::{Terms, decide};
pub use document::MalformedEvent;
pub use evaluate::{Evaluation, Match};
pub use explain::{ConditionExplanation, RuleExplanation, explain};
pub use rule_set::{CompileError, RuleSet, VersionedRule};
pub use simulate::{TestFailure, run_tests, simulate};
pub use source::{
    Diagnostic, Feature, LoadError, ParsedRule, Place, RuleFile, RuleTest, SourceFormat,
};
pub use standing::{Pauses, Standing, StandingState};
pub use verdict::{CooldownClaim, Effect, Verdict};
pub use window::WindowCount;
