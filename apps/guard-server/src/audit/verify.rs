//! Verifying the audit trail.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use chrono::DateTime;
use clap::Args;
use guard_app::ports::AuditExports;
use guard_audit::{Line, PublicKey, SignedCheckpoint, Verified, Verifier};

use super::{open, runtime};
use crate::config::Settings;
use crate::wiring::signing_key;

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// What `audit export` wrote; the database if not given
    file: Option<PathBuf>,
    /// The public key, in base64, or a file with it in PEM; more of them after a rotation. The server's own if not given
    #[arg(long, value_name = "KEY|FILE")]
    public_key: Vec<String>,
    /// Checkpoints that were kept outside the database; of the database that is verified here those of
    /// `audit.checkpoint_file`
    #[arg(long, value_name = "FILE")]
    checkpoints: Option<PathBuf>,
}

/// Checkpoints that were kept elsewhere, as far as they had been written at the beginning.
type Kept = BufReader<std::io::Take<File>>;

impl Verify {
    /// Verifies, and says what was found.
    pub(crate) fn run(&self, config: Option<&Path>) -> anyhow::Result<ExitCode> {
        let settings = match (&self.file, self.public_key.is_empty()) {
            // An auditor has no configuration.
            (Some(_), false) => None,
            _ => Some(Settings::load(config)?),
        };
        let keys = match self.keys(settings.as_ref()) {
            Ok(keys) => keys,
            Err(error) => {
                eprintln!("guard-server: {error:#}");
                return Ok(ExitCode::from(2));
            }
        };
        let kept = self.kept(settings.as_ref())?;
        let mut verifier = Verifier::new(keys);
        match (&self.file, &settings) {
            (Some(file), _) => read_file(file, &mut verifier)?,
            (None, Some(settings)) => {
                runtime()?.block_on(read_database(settings, &mut verifier))?;
            }
            (None, None) => {}
        }
        let mut verified = verifier.finish();
        say(&mut verifier);
        if let Some(kept) = kept {
            for line in kept.lines() {
                let line = line?;
                // The last line of a file may have been cut by a power cut: what it said is in the database.
                match serde_json::from_str::<SignedCheckpoint>(&line) {
                    Ok(signed) => verifier.witness(&signed),
                    Err(error) => eprintln!(
                        "a line of the checkpoints cannot be read and is left out: {error}"
                    ),
                }
                say(&mut verifier);
            }
            verified.findings = verifier.found();
        }
        println!("{}", summary(&verified));
        Ok(if verified.findings == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn keys(&self, settings: Option<&Settings>) -> anyhow::Result<Vec<PublicKey>> {
        if let (true, Some(settings)) = (self.public_key.is_empty(), settings) {
            let path = settings.signing_key_file();
            anyhow::ensure!(
                path.exists(),
                "`{}` is not there: --public-key says whose signatures count",
                path.display()
            );
            return Ok(vec![*signing_key(settings)?.public()]);
        }
        let read = |text: &String| {
            let text = match std::fs::read_to_string(text) {
                Ok(inside) => inside,
                Err(_) => text.clone(),
            };
            PublicKey::parse(&text)
                .context("--public-key takes a key in base64, or a file with one in PEM")
        };
        self.public_key.iter().map(read).collect()
    }

    /// What is in the file now is in the database already, whatever is added while this runs.
    fn kept(&self, settings: Option<&Settings>) -> anyhow::Result<Option<Kept>> {
        let own = settings
            .filter(|_| self.file.is_none())
            .map(Settings::checkpoint_file);
        let Some(path) = self.checkpoints.clone().or(own) else {
            return Ok(None);
        };
        match File::open(&path) {
            Ok(file) => {
                let length = file.metadata()?.len();
                Ok(Some(BufReader::new(file.take(length))))
            }
            Err(error) if error.kind() == ErrorKind::NotFound && self.checkpoints.is_none() => {
                Ok(None)
            }
            Err(error) => {
                Err(error).with_context(|| format!("`{}` cannot be read", path.display()))
            }
        }
    }
}

fn read_file(path: &Path, verifier: &mut Verifier) -> anyhow::Result<()> {
    let unreadable = || format!("`{}` cannot be read", path.display());
    let file = File::open(path).with_context(unreadable)?;
    let mut lines = BufReader::with_capacity(1 << 20, file);
    let mut line = String::new();
    while lines.read_line(&mut line).with_context(unreadable)? > 0 {
        verifier.text(&line);
        say(verifier);
        line.clear();
    }
    Ok(())
}

async fn read_database(settings: &Settings, verifier: &mut Verifier) -> anyhow::Result<()> {
    let store = open(settings).await?;
    let mut export = store.clone().export(None);
    while let Some(mut line) = export.next_line().await? {
        if let Line::Export(head) = &mut line {
            // What was kept elsewhere was looked at before, and was in the database by then.
            head.complete_until = i64::MAX;
        }
        verifier.line(line);
        say(verifier);
    }
    store.close().await;
    Ok(())
}

fn say(verifier: &mut Verifier) {
    for finding in verifier.take_findings() {
        println!("{finding}");
    }
}

fn summary(verified: &Verified) -> String {
    let time = |micros: i64| {
        DateTime::from_timestamp_micros(micros)
            .map_or_else(|| format!("{micros} µs"), |time| time.to_rfc3339())
    };
    let signed = match verified.last_checkpoint {
        Some((number, at)) => format!("the last checkpoint is {number} of {}", time(at)),
        None => "nothing is signed".to_owned(),
    };
    let until = verified
        .complete_until
        .filter(|until| *until < i64::MAX)
        .map_or_else(String::new, |at| format!("; complete until {}", time(at)));
    format!(
        "{} findings: {} records and {} hashes of others in {} links of {} chains, {} checkpoints; {signed}, {} links came after it{until}",
        verified.findings,
        verified.records,
        verified.bare,
        verified.links,
        verified.chains,
        verified.checkpoints,
        verified.unsigned_links
    )
}
