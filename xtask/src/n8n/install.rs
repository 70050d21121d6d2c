//! Installing n8n, once for every checkout.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::process::root;

/// The newest release that declares Node 20.
pub(crate) const VERSION: &str = "2.8.4";
/// The major version of Node that it is installed for.
const NODE: &str = "20";
/// Where n8n is installed instead of the cache folder.
const VARIABLE: &str = "NEURAL_GUARD_N8N_DIR";
/// A file that is there once everything else is.
const COMPLETE: &str = "complete";

/// An n8n that is installed.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    folder: PathBuf,
}

impl Installation {
    /// Finds n8n, or installs it first, which takes some minutes and 2.3 GB, once.
    pub(crate) fn find_or_install() -> anyhow::Result<Self> {
        check_node()?;
        let folder = folder();
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("`{}` cannot be made", folder.display()))?;
        // Somebody else may be at it.
        let lock = File::create(folder.join("lock"))?;
        lock.lock().context("the folder of n8n cannot be locked")?;
        if !folder.join(COMPLETE).exists() {
            install(&folder)?;
            std::fs::write(folder.join(COMPLETE), VERSION)?;
        }
        Ok(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command of n8n: Node with its program, and nothing of this environment but what it takes to run. Workflows can read
    /// the environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.node();
        command.arg(self.folder.join("node_modules/n8n/bin/n8n"));
        command
    }

    /// Node, which finds what n8n brings along.
    pub(crate) fn node(&self) -> Command {
        let mut command = Command::new("node");
        command
            .env_clear()
            .envs(kept())
            .env("NODE_PATH", self.folder.join("node_modules"));
        command
    }
}

fn kept() -> impl Iterator<Item = (&'static str, OsString)> {
    ["PATH", "HOME", "LANG", "TMPDIR"]
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// Where n8n is, or is to be.
fn folder() -> PathBuf {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = named(VARIABLE) {
        return folder.into();
    }
    let cache = named("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| named("HOME").map(|home| Path::new(&home).join(".cache")));
    cache.map_or_else(
        || root().join("target/n8n-install"),
        |cache| cache.join(format!("neural-guard/n8n-{VERSION}")),
    )
}

fn check_node() -> anyhow::Result<()> {
    let version = first_line(Command::new("node").arg("--version")).with_context(|| {
        format!("n8n {VERSION} needs Node {NODE}, and there is no `node`: install it and npm")
    })?;
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next(), numbers.next());
    let minor: u32 = minor.and_then(|minor| minor.parse().ok()).unwrap_or(0);
    ensure!(
        major == Some(NODE) && minor >= 19,
        "n8n {VERSION} needs Node {NODE}.19 or later of Node {NODE}, and `node` is {version}: put another one first in PATH"
    );
    first_line(Command::new("npm").arg("--version"))
        .with_context(|| format!("n8n {VERSION} is installed by npm, and there is no `npm`"))?;
    Ok(())
}

fn install(folder: &Path) -> anyhow::Result<()> {
    eprintln!(
        "n8n {VERSION} is installed in {}; this takes five to fifteen minutes and 2.3 GB, once",
        folder.display()
    );
    // npm has no tarball of the `xlsx` that n8n asks for; an older one will do, nothing here reads spreadsheets.
    let package = serde_json::json!({
        "private": true,
        "dependencies": { "n8n": VERSION },
        "overrides": { "xlsx": "0.18.5" },
    });
    std::fs::write(folder.join("package.json"), package.to_string())?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(folder)
        .stdout(std::io::stderr());
    // SQLite's binding is compiled; without the headers at hand they are downloaded.
    let prefix = first_line(Command::new("node").args([
        "--print",
        "require('path').resolve(process.execPath, '../..')",
    ]))?;
    if Path::new(&prefix).join("include/node/node.h").exists() {
        npm.arg(format!("--nodedir={prefix}"));
    }
    let status = npm.status().context("npm cannot be run")?;
    if !status.success() {
        bail!(
            "npm could not install n8n {VERSION}; it needs the registry, and a C++ compiler, make and Python to compile \
             SQLite's binding"
        );
    }
    Ok(())
}

fn first_line(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?} failed");
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
