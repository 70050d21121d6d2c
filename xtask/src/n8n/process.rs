//! A process that is known by its id alone.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

/// What a process can be told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signal {
    /// End in order.
    Terminate,
    /// End at once.
    Kill,
}

/// Tells a process to end.
pub(crate) fn signal(process: u32, signal: Signal) -> anyhow::Result<()> {
    let name = match signal {
        Signal::Terminate => "-TERM",
        Signal::Kill => "-KILL",
    };
    let status = Command::new("kill")
        .args([name, &process.to_string()])
        .stderr(Stdio::null())
        .status()
        .context("`kill` cannot be run")?;
    ensure!(status.success(), "process {process} cannot be told to end");
    Ok(())
}

/// Whether a process of this id runs n8n: ids are given again.
pub(crate) fn runs_n8n(process: u32) -> bool {
    let asked = Command::new("ps")
        .args(["-o", "command=", "-p", &process.to_string()])
        .output();
    asked.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("n8n/bin/n8n"))
}

/// Ends an n8n, in order if it does so within a time.
pub(crate) fn end_n8n(process: u32, within: Duration) -> anyhow::Result<()> {
    signal(process, Signal::Terminate)?;
    let begun = Instant::now();
    while runs_n8n(process) {
        if begun.elapsed() > within {
            signal(process, Signal::Kill)?;
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
