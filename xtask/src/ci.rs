//! Building, testing, checking.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};

use crate::pgbouncer;
use crate::postgres_server::{self, Durability, Server};
use crate::process::{cargo, has_subcommand};
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
    install_unless(
        postgres_server::find_programs().is_some(),
        "PostgreSQL",
        "postgresql",
    )?;
    install_unless(pgbouncer::find().is_some(), "PgBouncer", "pgbouncer")?;
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
    let there = postgres_server::find_programs().is_some();
    install_unless(there, "PostgreSQL", "postgresql")?;
    let server = Server::start(durability).map_err(anyhow::Error::msg)?;
    eprintln!("PostgreSQL for the tests: {}", server.url());
    let url = server.url().to_owned();
    Ok((Some(server), url))
}

/// Installs a package unless its program is there, where that can be done. Where not, the tests say what to do.
fn install_unless(there: bool, program: &str, package: &str) -> anyhow::Result<()> {
    if there || !is_root_on_debian() {
        return Ok(());
    }
    eprintln!("{program} is not there and is installed; this takes a minute, once");
    apt_get(&["update"])?;
    apt_get(&["install", "--yes", "--no-install-recommends", package])
}

fn is_root_on_debian() -> bool {
    let user = Command::new("id").arg("-u").output();
    let root = user.is_ok_and(|output| output.stdout.starts_with(b"0"));
    root && Path::new("/usr/bin/apt-get").exists()
}

fn apt_get(arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(std::io::stderr())
        .status()
        .context("apt-get cannot be run")?;
    if !status.success() {
        bail!("`apt-get {}` failed", arguments.join(" "));
    }
    Ok(())
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
