//! Running an n8n of our own from the command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::install::Installation;
use super::instance::{Instance, Settings};
use super::process;
use super::tokens::Tokens;
use crate::postgres_server::free_port;
use crate::process::root;

/// How long n8n may take to end in order.
const STOP: Duration = Duration::from_secs(40);

/// Where an n8n has its things.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Its user folder, with its database, log and tokens; target/n8n of the checkout if not given
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// How to start n8n.
#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    place: Place,
    /// The port it listens at; a free one if not given
    #[arg(long)]
    port: Option<u16>,
    /// Where the playbooks find Sentinel
    #[arg(long, env = "SENTINEL_URL", default_value = "http://127.0.0.1:8000")]
    sentinel_url: String,
    /// Where the error workflow finds the guard
    #[arg(
        long,
        env = "NEURAL_GUARD_URL",
        default_value = "http://127.0.0.1:3000"
    )]
    guard_url: String,
    /// Leave it running, and come back once it answers
    #[arg(long)]
    detach: bool,
}

/// What is remembered of an n8n that runs.
#[derive(Serialize, Deserialize)]
struct Running {
    process: u32,
    detached: bool,
    port: u16,
    sentinel_url: String,
    guard_url: String,
}

impl Place {
    fn folder(&self) -> PathBuf {
        let folder = self.folder.clone();
        folder.unwrap_or_else(|| root().join("target/n8n"))
    }
}

impl Running {
    fn file(folder: &Path) -> PathBuf {
        folder.join("running.json")
    }

    fn find(folder: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(Self::file(folder)).ok()?;
        let running: Self = serde_json::from_str(&text).ok()?;
        process::runs_n8n(running.process).then_some(running)
    }
}

pub(crate) fn install() -> anyhow::Result<()> {
    let installation = Installation::find_or_install()?;
    println!("{}", installation.folder().display());
    Ok(())
}

pub(crate) fn up(options: &Up) -> anyhow::Result<()> {
    let folder = options.place.folder();
    if let Some(running) = Running::find(&folder) {
        bail!(
            "n8n runs already, on port {} as process {}: `cargo xtask n8n down` ends it",
            running.port,
            running.process
        );
    }
    let port = options.port.map_or_else(free_port, Ok);
    let tokens = Tokens::find_or_make(&folder)?;
    start(
        Settings {
            folder,
            port: port.map_err(anyhow::Error::msg)?,
            sentinel_url: options.sentinel_url.clone(),
            guard_url: options.guard_url.clone(),
            tokens,
            shares_terminal: !options.detach,
        },
        options.detach,
    )
}

fn start(settings: Settings, detach: bool) -> anyhow::Result<()> {
    let mut instance = Instance::prepare(Installation::find_or_install()?, settings.clone())?;
    instance.start()?;
    let running = Running {
        process: instance.process().unwrap_or_default(),
        detached: detach,
        port: settings.port,
        sentinel_url: settings.sentinel_url,
        guard_url: settings.guard_url,
    };
    let file = Running::file(&settings.folder);
    std::fs::write(&file, serde_json::to_string(&running)?)?;
    eprintln!(
        "n8n answers; its playbooks call Sentinel at {}. Its log: {}",
        running.sentinel_url,
        instance.log().display()
    );
    println!("export N8N_BASE_URL={}", instance.url());
    for (variable, token) in settings.tokens.variables() {
        println!("export {variable}={token}");
    }
    if detach {
        instance.detach();
        return Ok(());
    }
    instance.wait()?;
    // `down` may have removed it.
    _ = std::fs::remove_file(file);
    Ok(())
}

pub(crate) fn load(place: &Place) -> anyhow::Result<()> {
    let folder = place.folder();
    let Some(running) = Running::find(&folder) else {
        bail!("n8n does not run; `cargo xtask n8n up` loads the workflows too");
    };
    if !running.detached {
        bail!(
            "n8n runs in a terminal as process {}: end it there, `cargo xtask n8n up` loads the workflows too",
            running.process
        );
    }
    process::end_n8n(running.process, STOP)?;
    std::fs::remove_file(folder.join("loaded"))?;
    let tokens = Tokens::find_or_make(&folder)?;
    start(
        Settings {
            folder,
            port: running.port,
            sentinel_url: running.sentinel_url,
            guard_url: running.guard_url,
            tokens,
            shares_terminal: false,
        },
        true,
    )
}

pub(crate) fn down(place: &Place) -> anyhow::Result<()> {
    let folder = place.folder();
    let Some(running) = Running::find(&folder) else {
        eprintln!("n8n does not run");
        return Ok(());
    };
    process::end_n8n(running.process, STOP)?;
    _ = std::fs::remove_file(Running::file(&folder));
    eprintln!("n8n has ended");
    Ok(())
}
