//! The playbooks for n8n, and an n8n of our own to run them.

pub(crate) mod flow;
pub(crate) mod generate;
mod install;
mod instance;
mod last_resort;
pub(crate) mod node;
pub(crate) mod playbooks;
mod process;
mod run;
mod step;
mod tokens;

use clap::Subcommand;

/// What can be done with n8n.
#[derive(Debug, Subcommand)]
pub(crate) enum N8n {
    /// Write deploy/n8n/workflows out of xtask/src/n8n/playbooks
    Generate,
    /// Install n8n 2.8.4 with npm: five to fifteen minutes and 2.3 GB, once. It needs Node 20, and goes to `$NEURAL_GUARD_N8N_DIR`,
    /// else to neural-guard/n8n-2.8.4 in the user's cache folder
    Install,
    /// Start n8n on the loopback interface with the credentials and playbooks in it, and print what the guard needs to know.
    /// It is installed first if need be. Tokens are those of `N8N_WEBHOOK_TOKEN`, `SENTINEL_API_TOKEN` and
    /// `NEURAL_GUARD_API_KEY`, else of the last time, else new ones
    Up(run::Up),
    /// Load credentials and workflows again, and restart n8n if it runs detached. What was changed in n8n's editor is replaced
    Load(run::Place),
    /// End the n8n that `up` started
    Down(run::Place),
}

/// Installs n8n unless it is there.
pub(crate) fn install() -> anyhow::Result<()> {
    install::Installation::find_or_install().map(drop)
}

pub(crate) fn run(command: &N8n) -> anyhow::Result<()> {
    match command {
        N8n::Generate => generate::write(),
        N8n::Install => run::install(),
        N8n::Up(options) => run::up(options),
        N8n::Load(place) => run::load(place),
        N8n::Down(place) => run::down(place),
    }
}
