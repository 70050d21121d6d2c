//! `guard-server`.

use std::process::ExitCode;

use clap::Parser;
use guard_server::cli::Cli;
use mimalloc::MiMalloc;

/// A request makes some hundred small allocations on whatever thread it happens to be on, which the allocator of the C library
/// makes slower than deciding about it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("guard-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}
