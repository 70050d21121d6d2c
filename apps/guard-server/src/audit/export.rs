//! Writing the audit trail out.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use guard_audit::Line;
use guard_domain::TenantId;

use super::{ocsf, open, runtime};
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
        if self.since.is_some() && self.format == Format::Ndjson {
            eprintln!(
                "guard-server: a part of the audit trail cannot be verified: --since needs --format ocsf"
            );
            return Ok(ExitCode::from(2));
        }
        let tenant = match self.tenant.as_deref().map(TenantId::parse).transpose() {
            Ok(tenant) => tenant,
            Err(error) => bail!("{error}"),
        };
        let out: Box<dyn Write> = match &self.out {
            None => Box::new(io::stdout().lock()),
            Some(path) => Box::new(
                File::create(path)
                    .with_context(|| format!("`{}` cannot be written", path.display()))?,
            ),
        };
        let mut out = BufWriter::new(out);
        runtime()?.block_on(async {
            let store = open(settings).await?;
            let mut export = guard_store::Export::of(store.clone(), tenant);
            while let Some(line) = export.next().await? {
                match self.format {
                    Format::Ndjson => {
                        serde_json::to_writer(&mut out, &line)?;
                        out.write_all(b"\n")?;
                    }
                    Format::Ocsf => self.write_events(&mut out, &line)?,
                }
            }
            out.flush()?;
            store.close().await;
            Ok(ExitCode::SUCCESS)
        })
    }

    fn write_events(&self, out: &mut impl Write, line: &Line) -> anyhow::Result<()> {
        let Line::Link(link) = line else {
            return Ok(());
        };
        let since = self
            .since
            .map_or(i64::MIN, |since| since.timestamp_micros());
        if link.created_at < since {
            return Ok(());
        }
        for record in &link.records {
            if let Some(text) = &record.record {
                serde_json::to_writer(&mut *out, &ocsf::event(text, link, record)?)?;
                out.write_all(b"\n")?;
            }
        }
        Ok(())
    }
}
