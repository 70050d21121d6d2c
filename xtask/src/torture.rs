//! Torturing the server.

use clap::Args;

use crate::debian;
use crate::postgres_server;
use crate::process::cargo;

/// Where Debian's package puts the library that makes clocks jump.
const FAKETIME: &str = "faketime/libfaketimeMT.so.1";

/// Load while processes are killed at random moments, then a search for anything lost, done twice or left lying:
/// docs/reliability.md. PostgreSQL is a private server, which is broken off too.
#[derive(Debug, Args)]
pub(crate) struct Torture {
    /// How many rounds of two or three seconds
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// The database
    #[arg(long, value_parser = ["sqlite", "postgresql"], default_value = "sqlite")]
    database: String,
    /// How many instances, behind a balancer; more than one needs PostgreSQL
    #[arg(long, default_value_t = 1)]
    instances: u32,
    /// Repeats the plan of an earlier run; drawn and printed if not given
    #[arg(long)]
    seed: Option<u64>,
    /// Plants a fault, which is to be found: answer-before-commit, no-fencing, no-cooldown-lock, skipped-audit-link, unguarded
    #[arg(long)]
    fault: Option<String>,
    /// Plants every fault in turn, and succeeds if each is found
    #[arg(long, conflicts_with_all = ["fault", "database", "instances", "rounds"])]
    teeth: bool,
}

pub(crate) fn run(options: &Torture) -> anyhow::Result<()> {
    if options.teeth || options.database == "postgresql" {
        debian::install_unless(postgres_server::find_programs().is_some(), "postgresql")?;
    }
    if options.teeth || options.instances > 1 {
        debian::install_unless(has_faketime(), "libfaketime")?;
    }
    let mut arguments: Vec<String> = ["test", "--quiet", "--release", "--package", "guard-server"]
        .into_iter()
        .chain(["--features", "planted-faults", "--test", "torture", "--"])
        .map(str::to_owned)
        .collect();
    if options.teeth {
        arguments.push("--teeth".to_owned());
    } else {
        arguments.extend([
            format!("--rounds={}", options.rounds),
            format!("--database={}", options.database),
            format!("--instances={}", options.instances),
        ]);
    }
    arguments.extend(options.seed.map(|seed| format!("--seed={seed}")));
    arguments.extend(
        options
            .fault
            .as_ref()
            .map(|fault| format!("--fault={fault}")),
    );
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    cargo(&arguments, &[])
}

fn has_faketime() -> bool {
    let folders = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten();
    folders
        .into_iter()
        .any(|folder| folder.path().join(FAKETIME).exists())
}
