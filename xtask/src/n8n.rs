//! The playbooks for n8n, and an n8n of our own to run them.

pub(crate) mod flow;
pub(crate) mod generate;
mod last_resort;
pub(crate) mod node;
pub(crate) mod playbooks;
mod step;

use clap::Subcommand;

/// What can be done with n8n.
#[derive(Debug, Subcommand)]
pub(crate) enum N8n {
    /// Write deploy/n8n/workflows out of xtask/src/n8n/playbooks
    Generate,
}

pub(crate) fn run(command: &N8n) -> anyhow::Result<()> {
    match command {
        N8n::Generate => generate::write(),
    }
}
