//! Measuring.

use clap::Subcommand;

use crate::process::cargo;

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// The policy engine: nanoseconds for each event, beside a bare parse of the same bytes
    Policy,
}

/// Runs a benchmark.
pub(crate) fn run(bench: &Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Policy => cargo(
            &["bench", "--package", "guard-policy", "--bench", "evaluate"],
            &[],
        ),
    }
}
