//! An n8n of our own: on the loopback interface, with a user folder of its own and the playbooks in it.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::generate::FOLDER;
use super::install::Installation;
use super::playbooks;
use super::process::{self, Signal};
use super::tokens::{Tokens, write_secret};
use crate::postgres_server::free_port;
use crate::process::root;

/// How long n8n may take until its webhooks answer.
const START: Duration = Duration::from_secs(120);
/// How long it may take to end.
const STOP: Duration = Duration::from_secs(40);
/// Publishes every workflow, which the command `publish:workflow` does one at a time, in seven seconds each.
const PUBLISH: &str = "
const { Database } = require('sqlite3');
new Database(process.argv[1]).run('UPDATE workflow_entity SET active = 1, activeVersionId = versionId', (error) => {
  if (error) throw error;
});";

/// What an n8n is to be like.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Its user folder, which holds its database, its log and its tokens.
    pub(crate) folder: PathBuf,
    pub(crate) port: u16,
    /// Where the playbooks find Sentinel.
    pub(crate) sentinel_url: String,
    /// Where the error workflow finds the guard.
    pub(crate) guard_url: String,
    pub(crate) tokens: Tokens,
    /// Whether a Ctrl-C here is for n8n too.
    pub(crate) shares_terminal: bool,
}

/// An n8n that can be started, killed and started again.
#[derive(Debug)]
pub(crate) struct Instance {
    installation: Installation,
    settings: Settings,
    /// For what n8n itself talks to its task runner.
    broker_port: u16,
    child: Option<Child>,
}

impl Instance {
    /// Puts the credentials and the workflows into the user folder, if they are not there yet.
    pub(crate) fn prepare(installation: Installation, settings: Settings) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&settings.folder)?;
        let instance = Self {
            installation,
            settings,
            broker_port: free_port().map_err(anyhow::Error::msg)?,
            child: None,
        };
        instance.load()?;
        Ok(instance)
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.settings.port)
    }

    /// Where it writes what it says.
    pub(crate) fn log(&self) -> PathBuf {
        self.settings.folder.join("n8n.log")
    }

    /// The id of its process, while it runs.
    pub(crate) fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn load(&self) -> anyhow::Result<()> {
        let workflows = root().join(FOLDER);
        let credentials = self.settings.tokens.credentials().to_string();
        let fingerprint = fingerprint(&workflows, &credentials)?;
        let loaded = self.settings.folder.join("loaded");
        if std::fs::read_to_string(&loaded).is_ok_and(|loaded| loaded == fingerprint) {
            return Ok(());
        }
        eprintln!("n8n takes in the credentials and the workflows; this takes some seconds");
        let file = self.settings.folder.join("credentials.json");
        write_secret(&file, &credentials)?;
        let imported = self.run("import:credentials", &["--input".as_ref(), file.as_ref()]);
        std::fs::remove_file(&file)?;
        imported?;
        let from = [
            "--separate".as_ref(),
            "--input".as_ref(),
            workflows.as_ref(),
        ];
        self.run("import:workflow", &from)?;
        let mut publish = self.installation.node();
        publish.args(["--eval", PUBLISH]);
        publish.arg(self.settings.folder.join(".n8n/database.sqlite"));
        succeed(&mut publish, "publishing the workflows")?;
        Ok(std::fs::write(loaded, fingerprint)?)
    }

    /// Runs a command of n8n to its end.
    fn run(&self, name: &str, arguments: &[&Path]) -> anyhow::Result<()> {
        let mut command = self.command();
        command.arg(name).args(arguments);
        succeed(&mut command, &format!("`n8n {name}`"))
    }

    fn command(&self) -> Command {
        let Settings {
            folder,
            port,
            sentinel_url,
            guard_url,
            ..
        } = &self.settings;
        let mut command = self.installation.command();
        command
            .env("N8N_USER_FOLDER", folder)
            .env("N8N_LISTEN_ADDRESS", Ipv4Addr::LOCALHOST.to_string())
            .env("N8N_HOST", Ipv4Addr::LOCALHOST.to_string())
            .env("N8N_PORT", port.to_string())
            .env("N8N_RUNNERS_BROKER_PORT", self.broker_port.to_string())
            .env("SENTINEL_URL", sentinel_url)
            .env("NEURAL_GUARD_URL", guard_url)
            .env("N8N_BLOCK_ENV_ACCESS_IN_NODE", "false")
            .env("N8N_DIAGNOSTICS_ENABLED", "false")
            .env("N8N_VERSION_NOTIFICATIONS_ENABLED", "false")
            .env("N8N_TEMPLATES_ENABLED", "false")
            .env("N8N_PERSONALIZATION_ENABLED", "false")
            .stdin(Stdio::null());
        command
    }

    /// Starts it, and waits until its webhooks answer.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let log = File::options().append(true).create(true).open(self.log())?;
        let mut command = self.command();
        command.arg("start").stdout(log.try_clone()?).stderr(log);
        if !self.settings.shares_terminal {
            command.process_group(0);
        }
        let child = command.spawn().context("n8n cannot be started")?;
        self.child = Some(child);
        let begun = Instant::now();
        for playbook in playbooks::ALL {
            while !self.answers(playbook.name) {
                if let Some(status) = self
                    .child
                    .as_mut()
                    .map(Child::try_wait)
                    .transpose()?
                    .flatten()
                {
                    self.child = None;
                    bail!("n8n ended with {status}: {}", self.log().display());
                }
                ensure!(
                    begun.elapsed() < START,
                    "the webhook of {} does not answer: {}",
                    playbook.name,
                    self.log().display()
                );
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Ok(())
    }

    /// Whether the webhook of a playbook is there, which is asked for without starting it.
    fn answers(&self, playbook: &str) -> bool {
        let asked = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.settings.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            let host = format!("{}:{}", Ipv4Addr::LOCALHOST, self.settings.port);
            write!(
                stream,
                "GET /webhook/failsafe/{playbook} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        asked().is_ok_and(|answer| answer.contains("make a POST request"))
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        Ok(())
    }

    /// Leaves it running when this is dropped.
    pub(crate) fn detach(&mut self) {
        self.child = None;
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Ends it in order: runs under way have a while to end.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            process::signal(child.id(), Signal::Terminate)?;
            let begun = Instant::now();
            while child.try_wait()?.is_none() {
                if begun.elapsed() > STOP {
                    child.kill()?;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.stop().is_err() {
            _ = self.kill();
        }
    }
}

/// What tells whether the same was loaded before.
fn fingerprint(workflows: &Path, credentials: &str) -> anyhow::Result<String> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(workflows)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    files.sort();
    let mut hasher = DefaultHasher::new();
    credentials.hash(&mut hasher);
    for file in files {
        std::fs::read(file)?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Runs a command whose words are shown only if it fails.
fn succeed(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let output = command
        .output()
        .with_context(|| format!("{what} cannot be run"))?;
    ensure!(
        output.status.success(),
        "{what} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
