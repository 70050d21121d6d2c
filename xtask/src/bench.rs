//! Measuring.

mod audit;
mod ingest;
mod policy;

use clap::Subcommand;

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// The policy engine: nanoseconds for each event, beside a bare parse of the same bytes
    Policy(policy::Policy),
    /// The whole server: events per second and latencies, beside a bare handler that only inserts
    Ingest(ingest::Ingest),
    /// The audit trail: seconds to verify an export of a million records
    Audit(audit::Audit),
}

/// Runs a benchmark.
pub(crate) fn run(bench: &Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Policy(policy) => policy::run(policy),
        Bench::Ingest(ingest) => ingest::run(ingest),
        Bench::Audit(audit) => audit::run(audit),
    }
}
