//! Writing the audit trail out.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use guard_app::{AuditExport, ExportFormat};
use guard_domain::TenantId;

use super::{open, runtime};
use crate::config::Settings;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Links, records and signed checkpoints, which `audit verify` and docs/audit.md verify
    Ndjson,
    /// Records as events of the Open Cybersecurity Schema Framework, a line each, for a SIEM
    Ocsf,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Only this tenant's records; of others the hashes, without which it could not be verified
    #[arg(long)]
    tenant: Option<String>,
    /// Only records from this moment on, such as 2026-11-25T00:00:00Z; with --format ocsf
    #[arg(long, value_parser = parse_time)]
    since: Option<DateTime<Utc>>,
    /// Only records before this moment; with --format ocsf
    #[arg(long, value_parser = parse_time)]
    until: Option<DateTime<Utc>>,
    /// What to write
    #[arg(long, value_enum, default_value = "ndjson")]
    format: Format,
    /// Write to this file instead of printing
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    let parsed = DateTime::parse_from_rfc3339(text).map_err(|error| error.to_string())?;
    Ok(parsed.to_utc())
}

impl Export {
    /// Writes the audit trail out.
    pub(crate) fn run(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let format = match self.format {
            Format::Ndjson => ExportFormat::Ndjson,
            Format::Ocsf => ExportFormat::Ocsf,
        };
        let text = match format.between(self.since, self.until) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("guard-server: {error}");
                return Ok(ExitCode::from(2));
            }
        };
        let tenant = match self.tenant.as_deref().map(TenantId::parse).transpose() {
            Ok(tenant) => tenant,
            Err(error) => bail!("{error}"),
        };
        let mut out: Box<dyn Write> = match &self.out {
            None => Box::new(io::stdout().lock()),
            Some(path) => Box::new(
                File::create(path)
                    .with_context(|| format!("`{}` cannot be written", path.display()))?,
            ),
        };
        runtime()?.block_on(async {
            let store = open(settings).await?;
            let mut export = AuditExport::begin(store.clone(), tenant, text);
            while let Some(piece) = export.next_piece().await? {
                out.write_all(&piece)?;
            }
            out.flush()?;
            store.close().await;
            Ok(ExitCode::SUCCESS)
        })
    }
}
