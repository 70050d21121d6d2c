//! Fuzzing, on the one compiler that the workspace has: libFuzzer brings its own C++, and the compiler its instrumentation.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use clap::Args;

use crate::process::root;
use crate::python::target;

/// What can be fuzzed: the target, and the crate whose folder `fuzz` has it.
const TARGETS: [(&str, &str); 4] = [
    ("event-bodies", "guard-domain"),
    ("tokens", "guard-identity"),
    ("rules", "guard-policy"),
    ("events", "guard-policy"),
];
/// The instrumentation that libFuzzer follows; nothing of it needs an unstable compiler.
const FLAGS: [&str; 9] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "--cfg=fuzzing",
];
/// The longest input: beyond the largest event that is accepted.
const LONGEST_INPUT: usize = 140_000;

/// Let libFuzzer look for an input that breaks what must hold of any: one of event-bodies, tokens, rules, events, or all in turn.
/// What it finds is written to target/fuzz/artifacts and makes the exit code 1; put it into the corpus, which is a test
#[derive(Debug, Args)]
pub(crate) struct Fuzz {
    /// The target; all of them if not given
    #[arg(value_parser = TARGETS.map(|(name, _)| name))]
    target: Option<String>,
    /// How long to fuzz each, in seconds
    #[arg(long, default_value_t = 600)]
    seconds: u64,
}

pub(crate) fn run(options: &Fuzz) -> anyhow::Result<()> {
    let wanted = |name: &str| {
        options
            .target
            .as_deref()
            .is_none_or(|target| target == name)
    };
    for (name, package) in TARGETS.into_iter().filter(|(name, _)| wanted(name)) {
        fuzz(name, package, options.seconds)?;
    }
    Ok(())
}

fn fuzz(name: &str, package: &str, seconds: u64) -> anyhow::Result<()> {
    let source = root().join("crates").join(package).join("fuzz");
    let program = build(name, &source)?;
    // What libFuzzer learns goes to the build's folder: the corpus of the repository holds what people chose.
    let place = target().join("fuzz");
    let (learned, found) = (
        place.join("corpus").join(name),
        place.join("artifacts").join(name),
    );
    for folder in [&learned, &found] {
        std::fs::create_dir_all(folder)?;
    }
    let mut command = Command::new(program);
    command
        .arg(&learned)
        .arg(source.join("corpus").join(name))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={LONGEST_INPUT}"))
        .arg(format!("-artifact_prefix={}/", found.display()))
        .args(["-print_final_stats=1", "-timeout=10", "-rss_limit_mb=2048"]);
    eprintln!("$ {name} for {seconds} s");
    let status = command
        .status()
        .context("the fuzz target cannot be started")?;
    ensure!(
        status.success(),
        "`{name}` found something: see {}",
        found.display()
    );
    Ok(())
}

/// Builds a target with its instrumentation; gives the program.
fn build(name: &str, source: &Path) -> anyhow::Result<std::path::PathBuf> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    // With a target named, build scripts and macros are not instrumented, which they could not be linked with.
    let host = host()?;
    let folder = target().join("fuzz");
    let status = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            &host,
            "--bin",
            name,
        ])
        .arg("--target-dir")
        .arg(&folder)
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"))
        .current_dir(source)
        .status()
        .context("cargo cannot be started")?;
    if !status.success() {
        bail!(
            "`{name}` cannot be built; libFuzzer needs a C++ compiler (on Debian `apt-get install g++`)"
        );
    }
    Ok(folder.join(host).join("release").join(name))
}

fn host() -> anyhow::Result<String> {
    let version = Command::new("rustc").arg("-vV").output();
    let version = String::from_utf8(version.context("rustc cannot be started")?.stdout)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say its host")?.to_owned())
}
