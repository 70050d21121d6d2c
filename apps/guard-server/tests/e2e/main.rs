//! The chain from a failed backup to a recovered one, with a real n8n, a real guard on PostgreSQL and the example Sentinel:
//! `cargo xtask e2e`. `docs/e2e.md` has the last run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test, which stands outside the server"
)]

mod child;
mod guard;
mod n8n;
mod proxy;
mod scenarios;
mod sentinel;
mod table;
mod wait;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use table::Table;
use world::World;

/// What `cargo xtask e2e` has made ready.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// The developer commands, which start and stop n8n
    #[arg(long)]
    xtask: PathBuf,
    /// A Python that has the client and what its example needs
    #[arg(long)]
    python: PathBuf,
    /// Only the scenarios whose name has this in it
    #[arg(long)]
    only: Option<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match runtime.block_on(run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("e2e: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every scenario did what it should.
async fn run(options: &Options) -> Result<bool, String> {
    let mut world = World::make(options).await?;
    let mut table = Table::default();
    for (name, scenario) in scenarios::all() {
        if !options
            .only
            .as_ref()
            .is_none_or(|only| name.contains(only.as_str()))
        {
            continue;
        }
        eprintln!("… {name}");
        let began = std::time::Instant::now();
        let outcome = scenario(&mut world).await;
        if let Err(why) = &outcome {
            eprintln!("  failed: {why}");
        }
        table.add(name, began.elapsed(), outcome);
        // What one scenario broke must not break the next.
        world.restore().await?;
    }
    world.stop().await;
    table.print();
    Ok(table.passed())
}
