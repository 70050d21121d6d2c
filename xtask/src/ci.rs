//! Building, testing, checking.

use std::time::Instant;

use crate::debian;
use crate::pgbouncer;
use crate::postgres_server::{self, Durability, Server};
use crate::process::{cargo, has_subcommand};
use crate::redis_server;
use crate::tidy;

/// The version of cargo-deny that is installed if there is none.
const CARGO_DENY: &str = "cargo-deny@0.20.2";

/// Builds the release server and runs its demo.
pub(crate) fn demo(once: bool) -> anyhow::Result<()> {
    let mut arguments = vec![
        "run",
        "--quiet",
        "--release",
        "--package",
        "guard-server",
        "--",
        "demo",
    ];
    if once {
        arguments.push("--once");
    }
    cargo(&arguments, &[])
}

/// Runs all tests. The summary of the runner comes last.
pub(crate) fn test() -> anyhow::Result<()> {
    // Some tests need a server that they may stop, whichever is configured.
    debian::install_unless(postgres_server::find_programs().is_some(), "postgresql")?;
    debian::install_unless(pgbouncer::find().is_some(), "pgbouncer")?;
    debian::install_unless(redis_server::is_there(), "redis-server")?;
    let (_server, url) = postgres(Durability::None)?;
    let environment = [(postgres_server::VARIABLE, url.as_str())];
    cargo(&["test", "--workspace", "--doc"], &[])?;
    if has_subcommand("nextest") {
        cargo(
            &["nextest", "run", "--workspace", "--all-targets"],
            &environment,
        )
    } else {
        cargo(&["test", "--workspace", "--all-targets"], &environment)
    }
}

/// The PostgreSQL server of the tests: the configured one, or a private one that lives as long as what is given.
pub(crate) fn postgres(durability: Durability) -> anyhow::Result<(Option<Server>, String)> {
    match std::env::var(postgres_server::VARIABLE) {
        Ok(url) if !url.is_empty() => return Ok((None, url)),
        _ => {}
    }
    debian::install_unless(postgres_server::find_programs().is_some(), "postgresql")?;
    let server = Server::start(durability).map_err(anyhow::Error::msg)?;
    eprintln!("PostgreSQL for the tests: {}", server.url());
    let url = server.url().to_owned();
    Ok((Some(server), url))
}

/// Brings a database's schema up to date.
pub(crate) fn migrate() -> anyhow::Result<()> {
    cargo(
        &[
            "run",
            "--quiet",
            "--package",
            "guard-server",
            "--",
            "migrate",
        ],
        &[],
    )
}

/// Runs everything that must be green to land; the tests come last, so that their summary does.
pub(crate) fn all(without_tests: bool) -> anyhow::Result<()> {
    step("fmt", || cargo(&["fmt", "--all", "--check"], &[]))?;
    step("clippy", || {
        cargo(
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                // Torture is compiled only with its faults, the trial of the whole chain only when it is asked for.
                "--features",
                "guard-server/planted-faults,guard-server/e2e",
                "--",
                "--deny",
                "warnings",
            ],
            &[],
        )
    })?;
    step("package", || {
        let crates = ["--package", "guard-domain", "--package", "guard-policy"];
        cargo(
            &[&["package", "--allow-dirty", "--quiet"], &crates[..]].concat(),
            &[],
        )
    })?;
    step("docs", || {
        let deny = [("RUSTDOCFLAGS", "--deny warnings")];
        cargo(
            &[
                "doc",
                "--workspace",
                "--no-deps",
                "--document-private-items",
            ],
            &deny,
        )
    })?;
    step("deny", deny)?;
    step("tidy", tidy::run)?;
    if without_tests {
        return Ok(());
    }
    step("test", test)
}

/// Checks licences, bans and sources.
fn deny() -> anyhow::Result<()> {
    if !has_subcommand("deny") {
        eprintln!("cargo-deny is not there and is installed; this takes some minutes, once");
        cargo(&["install", "--locked", CARGO_DENY], &[])?;
    }
    cargo(
        &[
            "deny",
            "--all-features",
            "check",
            "licenses",
            "bans",
            "sources",
        ],
        &[],
    )
}

fn step(name: &str, run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let begun = Instant::now();
    run()?;
    eprintln!("{name}: fine, {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}
