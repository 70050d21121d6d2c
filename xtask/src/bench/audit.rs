//! The verification of the audit trail, measured.

use anyhow::bail;
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
    let records = options.records.to_string();
    let done = cargo_quietly()
        .args([
            "run",
            "--release",
            "-p",
            "guard-audit",
            "--example",
            "million",
            "--",
            &records,
        ])
        .arg(&file)
        .current_dir(root())
        .status();
    let _ = std::fs::remove_file(&file);
    if !done?.success() {
        bail!("it cannot be measured");
    }
    Ok(())
}
