//! What is to be tortured, and how.

use clap::{Parser, ValueEnum};
use guard_store::PlantedFault;

/// Load while processes are killed, and a search for anything that was lost, done twice or left lying.
#[derive(Debug, Clone, Parser)]
#[command(name = "cargo xtask torture")]
pub(crate) struct Options {
    /// How many rounds of two or three seconds
    #[arg(long, default_value_t = 20)]
    pub(crate) rounds: u64,
    /// The database
    #[arg(long, value_enum, default_value_t = Kind::Sqlite)]
    pub(crate) database: Kind,
    /// How many instances, behind a balancer; more than one needs PostgreSQL
    #[arg(long, default_value_t = 1)]
    pub(crate) instances: usize,
    /// Repeats the plan of an earlier run
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Plants a fault in every instance
    #[arg(long, value_parser = fault)]
    pub(crate) fault: Option<PlantedFault>,
    /// Plants every fault in turn, and succeeds if each is found
    #[arg(long, conflicts_with_all = ["fault", "database", "instances", "rounds"])]
    pub(crate) teeth: bool,
}

/// A database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Sqlite,
    Postgresql,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgresql => "PostgreSQL",
        }
    }
}

fn fault(name: &str) -> Result<PlantedFault, String> {
    let known = PlantedFault::ALL.map(PlantedFault::as_str);
    let found = PlantedFault::ALL
        .into_iter()
        .find(|fault| fault.as_str() == name);
    found.ok_or_else(|| format!("the faults are {}", known.join(", ")))
}

impl Options {
    /// # Errors
    /// What cannot be combined.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.instances == 0 || self.rounds == 0 {
            return Err("there is at least one instance and one round".to_owned());
        }
        if self.instances > 1 && self.database == Kind::Sqlite {
            return Err("SQLite has one instance: add `--database postgresql`".to_owned());
        }
        Ok(())
    }

    /// In a line.
    pub(crate) fn describe(&self) -> String {
        let fault = self.fault.map_or(String::new(), |fault| {
            format!(", planted: {}", fault.as_str())
        });
        let instances = match self.instances {
            1 => "1 instance".to_owned(),
            several => format!("{several} instances"),
        };
        format!(
            "{}, {instances}, {} rounds{fault}",
            self.database.name(),
            self.rounds
        )
    }
}
