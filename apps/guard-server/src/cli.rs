//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Settings;
use crate::key_commands::{self, KeysCommand};
use crate::{audit, commands, contacts, demo, run};

/// The automated security brain beside Sentinel: takes events in, decides by policy, has n8n run playbooks, and keeps the
/// proof.
///
/// Exit codes: 0 fine, 1 failed, 2 used wrongly.
#[derive(Debug, Parser)]
#[command(name = "guard-server", version)]
pub struct Cli {
    /// The configuration file; `neural-guard.toml` beside the process if it is there
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (what happens without a command, too)
    Serve,
    /// Show the main job: a server with an empty database, sample events, and a stand-in for n8n
    Demo {
        /// End after the tables instead of staying up; exit code 1 if anything failed
        #[arg(long)]
        once: bool,
    },
    /// Bring the database's schema up to date, and create the database if it is not there
    Migrate,
    /// Print the effective configuration, secrets masked, with where each value comes from
    CheckConfig,
    /// Look after API keys, on the database itself: a server may be running on it
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Work with rule files
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Prove the audit trail, and take it elsewhere
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Work with the contacts of the configuration
    #[command(subcommand)]
    Contacts(ContactsCommand),
}

#[derive(Debug, Subcommand)]
enum ContactsCommand {
    /// Send a test message over each channel of a contact, and say what came of it; exit code 1 if one was not sent
    Test {
        /// The contact
        name: String,
    },
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Say everything that is wrong with rule files, and what analysis finds, such as rules that never decide; exit code 1 if
    /// anything is an error: a warning is not
    Check {
        /// Files or folders; what `rules.path` names if none is given
        paths: Vec<PathBuf>,
    },
    /// Run the tests that rule files bring with them; exit code 1 if one fails
    Test {
        /// Files or folders; what `rules.path` names if none is given
        paths: Vec<PathBuf>,
    },
    /// Write the default rules out, to change them
    Init {
        /// The folder
        #[arg(default_value = "rules")]
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Say whether anything in the audit trail was changed, removed, reordered or put in, and where; exit code 1 if so
    Verify(audit::Verify),
    /// Write the audit trail out, so that it can be verified elsewhere or read by other tools
    Export(audit::Export),
    /// Show the public key by which the audit trail is verified
    Key,
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// What went wrong, for a human.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.config.as_deref();
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => run::serve(Settings::load(config)?),
            Command::Demo { once } => demo::run(once),
            Command::Migrate => commands::migrate(&Settings::load(config)?),
            Command::CheckConfig => commands::check_config(config),
            Command::Keys(command) => key_commands::run(&Settings::load(config)?, command),
            Command::Contacts(ContactsCommand::Test { name }) => {
                contacts::test(&Settings::load(config)?, &name)
            }
            Command::Rules(RulesCommand::Check { paths }) => {
                commands::check_rules(&Settings::load(config)?, &paths)
            }
            Command::Rules(RulesCommand::Test { paths }) => {
                commands::test_rules(&Settings::load(config)?, &paths)
            }
            Command::Rules(RulesCommand::Init { folder }) => commands::init_rules(&folder),
            Command::Audit(AuditCommand::Verify(verify)) => verify.run(config),
            Command::Audit(AuditCommand::Export(export)) => export.run(&Settings::load(config)?),
            Command::Audit(AuditCommand::Key) => audit::show_key(&Settings::load(config)?),
        }
    }
}
