//! Processes beside this one.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A process that is killed when it is dropped, and says where it listens.
pub(crate) struct Listening {
    child: Child,
    pub(crate) address: String,
}

impl Listening {
    /// Starts a program that prints `listening on http://ADDRESS`.
    pub(crate) fn start(command: &mut Command, what: &str) -> Result<Self, String> {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| format!("{what} cannot be started: {error}"))?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                _ = child.kill();
                _ = child.wait();
                return Err(format!("{what} ended before it listened"));
            };
            if let Some(address) = line.strip_prefix("listening on ") {
                break address.to_owned();
            }
        };
        // Whoever prints must find somebody who reads.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, address })
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.end();
    }
}
