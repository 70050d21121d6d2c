//! The whole chain with a real n8n.

use anyhow::Context;
use clap::Args;

use crate::debian;
use crate::n8n;
use crate::postgres_server;
use crate::process::cargo;
use crate::python;

/// The chain from a failed backup to a recovered one, with a real n8n, the guard on PostgreSQL and the example Sentinel, with
/// everything going away in turn: docs/e2e.md. It needs Node 20, npm, a C++ compiler and Python 3.9 or later; n8n is
/// installed once, as by `cargo xtask n8n install`
#[derive(Debug, Args)]
pub(crate) struct E2e {
    /// Only the scenarios whose name has this in it
    #[arg(long)]
    only: Option<String>,
}

pub(crate) fn run(options: &E2e) -> anyhow::Result<()> {
    debian::install_unless(postgres_server::find_programs().is_some(), "postgresql")?;
    n8n::install()?;
    let python = python::environment("example")?;
    let xtask = std::env::current_exe().context("the path of this program is not known")?;
    let mut arguments: Vec<String> = ["test", "--quiet", "--package", "guard-server"]
        .into_iter()
        .chain(["--features", "e2e", "--test", "e2e", "--"])
        .map(str::to_owned)
        .collect();
    arguments.push(format!("--xtask={}", xtask.display()));
    arguments.push(format!("--python={}", python.display()));
    arguments.extend(options.only.as_ref().map(|only| format!("--only={only}")));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    cargo(&arguments, &[])
}
