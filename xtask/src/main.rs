//! Developer commands: `cargo xtask …`.

mod bench;
mod ci;
mod debian;
mod e2e;
mod fuzz;
mod n8n;
#[path = "../../crates/guard-testkit/src/pgbouncer.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "it belongs to the tests, which use all of it"
)]
mod pgbouncer;
#[path = "../../crates/guard-testkit/src/postgres_server.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "it belongs to the tests, which use all of it"
)]
mod postgres_server;
mod process;
mod python;
#[path = "../../crates/guard-testkit/src/redis_server.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "it belongs to the tests, which use all of it"
)]
mod redis_server;
mod schemathesis;
mod tidy;
mod torture;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands of Neural Guard.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the main job: a server, sample events, and a stand-in for n8n
    Demo {
        /// End after the tables; exit code 1 if anything failed
        #[arg(long)]
        once: bool,
    },
    /// Run all tests, with nextest if it is there, else with cargo test; doc tests too. They use the PostgreSQL server that
    /// NEURAL_GUARD_TEST_POSTGRES names, else a private one; that and PgBouncer are installed first on Debian by root
    Test,
    /// Run everything that must be green to land: fmt, clippy, tests, docs, deny, tidy
    Ci {
        /// Leave the tests out, for a caller who has run them
        #[arg(long)]
        without_tests: bool,
    },
    /// Check what no compiler checks: the arrows between crates, the sizes of files, the twins of migrations, the named proofs,
    /// the workflows for n8n
    Tidy,
    /// Bring a database's schema up to date; the database is that of the configuration and of DATABASE_URL
    Migrate,
    /// The playbooks for n8n, and an n8n of our own to run them
    #[command(subcommand)]
    N8n(n8n::N8n),
    /// Measure
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Kill everything again and again under load, and look for what was lost, done twice or left lying
    Torture(torture::Torture),
    /// Try the whole chain with a real n8n, and everything going away in turn
    E2e(e2e::E2e),
    Fuzz(fuzz::Fuzz),
    Schemathesis(schemathesis::Schemathesis),
    /// Test the Python client against the server, check its types and style, and build its wheel
    Client,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo { once } => ci::demo(once),
        Command::Test => ci::test(),
        Command::Ci { without_tests } => ci::all(without_tests),
        Command::Tidy => tidy::run(),
        Command::Migrate => ci::migrate(),
        Command::N8n(n8n) => n8n::run(&n8n),
        Command::Bench(bench) => bench::run(&bench),
        Command::Torture(options) => torture::run(&options),
        Command::E2e(options) => e2e::run(&options),
        Command::Schemathesis(options) => schemathesis::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Client => python::test_client(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
