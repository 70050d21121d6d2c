//! The whole server, measured.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::ci;
use crate::postgres_server::{self, Durability};
use crate::process::cargo;

/// The release server on SQLite and on PostgreSQL with 1,000 rules, beside a bare handler that only inserts: about four
/// minutes. PostgreSQL is the server that NEURAL_GUARD_TEST_POSTGRES names, else a private one.
#[derive(Debug, Args)]
pub(crate) struct Ingest {
    /// How long each closed loop lasts, in seconds; turns last 2 s
    #[arg(long, default_value_t = 10)]
    closed: u32,
    /// Compare instead, in ten turns of 2 s each, the closed loop on an empty database with that on one that holds so many events, for example 5000000
    #[arg(long, value_name = "EVENTS")]
    filled: Option<u64>,
    /// Compare instead the closed loop with authentication, rate limits and the audit chain with that without any of them
    #[arg(long, conflicts_with = "filled")]
    guards: bool,
    /// Offer instead twice what the server can take for so many seconds, and fail if it answers anything but 200, 429 and 503,
    /// needs more than 200 MB, loses an event or is slower five seconds later than a server beside it that was left alone
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["filled", "guards"])]
    flood: Option<u32>,
    /// Measure instead only the closed loop, of the floor and of the server in so many turns of 2 s each; with --filled, let its two take so many
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["guards", "flood"])]
    turns: Option<u32>,
    /// Another build of the server, which takes turns with this one
    #[arg(
        long,
        value_name = "FILE",
        requires = "turns",
        conflicts_with = "filled"
    )]
    against: Vec<PathBuf>,
    /// Measure only one database
    #[arg(long, value_parser = ["sqlite", "postgresql"])]
    database: Option<String>,
    /// How long each open loop lasts, in seconds
    #[arg(long, default_value_t = 20)]
    open: u32,
}

pub(crate) fn run(options: &Ingest) -> anyhow::Result<()> {
    let (_server, url) = ci::postgres(Durability::Full)?;
    let (closed, open) = (options.closed.to_string(), options.open.to_string());
    let filled = options.filled.unwrap_or(0).to_string();
    let flood = options.flood.unwrap_or(0).to_string();
    let turns = options.turns.unwrap_or(0).to_string();
    let against: Vec<_> = options
        .against
        .iter()
        .map(|build| {
            let there = std::fs::canonicalize(build);
            there.with_context(|| {
                format!(
                    "--against {}: give the path of a guard-server",
                    build.display()
                )
            })
        })
        .collect::<Result<_, _>>()?;
    let against = std::env::join_paths(against)?;
    let against = against
        .to_str()
        .context("the path of another build is not UTF-8")?;
    let environment = [
        ("GUARD_BENCH_TURNS", turns.as_str()),
        ("GUARD_BENCH_AGAINST", against),
        (postgres_server::VARIABLE, url.as_str()),
        ("GUARD_BENCH_CLOSED_SECONDS", closed.as_str()),
        ("GUARD_BENCH_OPEN_SECONDS", open.as_str()),
        ("GUARD_BENCH_FILLED", filled.as_str()),
        ("GUARD_BENCH_FLOOD", flood.as_str()),
        ("GUARD_BENCH_GUARDS", if options.guards { "1" } else { "" }),
        (
            "GUARD_BENCH_DATABASE",
            options.database.as_deref().unwrap_or_default(),
        ),
    ];
    let bench = ["bench", "--package", "guard-server", "--bench", "ingest"];
    // Only a build with planted faults can do without the guards.
    let faults: &[&str] = if options.guards {
        &["--features", "planted-faults"]
    } else {
        &[]
    };
    cargo(&[&bench, faults].concat(), &environment)
}
