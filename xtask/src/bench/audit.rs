//! The verification of the audit trail, measured.

use clap::Args;

use crate::process::{cargo_quietly, root};

/// Verifies an export that it writes first.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// How many records
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
}

pub(crate) fn run(options: &Audit) -> anyhow::Result<()> {
    let file = root().join("target").join("bench-audit.ndjson");
    let (records, path) = (options.records.to_string(), file.display().to_string());
    let arguments = "run --release -p guard-audit --example million --";
    let mut arguments: Vec<&str> = arguments.split(' ').collect();
    arguments.extend([records.as_str(), path.as_str()]);
    let done = cargo_quietly(&arguments, &[]);
    std::fs::remove_file(&file)?;
    done
}
