//! `guard-server`.

use std::process::ExitCode;

use clap::Parser;
use guard_server::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("guard-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}
