//! Load while processes are killed at random moments, and a search for anything that was lost, done twice or left lying:
//! `cargo xtask torture`. `docs/reliability.md` says more.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    reason = "a test, which stands outside the server"
)]

mod balancer;
mod checks;
mod dice;
mod fleet;
mod http;
mod instance;
mod load;
mod options;
mod place;
mod plan;
mod record;
mod run;
mod stand_in;
mod summary;
mod teeth;

use std::process::ExitCode;

use clap::Parser;
use options::Options;

/// How many violations are printed; the number of all of them is.
const PRINTED: usize = 200;

fn main() -> ExitCode {
    let options = Options::parse();
    if let Err(why) = options.check() {
        eprintln!("torture: {why}");
        return ExitCode::from(2);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match runtime.block_on(torture(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("torture: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything was as it should be.
async fn torture(options: &Options) -> Result<bool, String> {
    let seed = options
        .seed
        .unwrap_or_else(|| getrandom::u64().unwrap_or(1) >> 32);
    if options.teeth {
        return teeth::hunt_all(seed).await;
    }
    let outcome = run::run(options, seed).await?;
    outcome.summary.print();
    for violation in outcome.violations.iter().take(PRINTED) {
        println!("{}: {}", violation.check, violation.what);
    }
    match outcome.violations.len() {
        0 => println!("nothing was found"),
        count => println!("{count} violations; `--seed {seed}` repeats the plan"),
    }
    Ok(outcome.violations.is_empty())
}
