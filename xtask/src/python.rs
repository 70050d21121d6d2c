//! The Python client: its environment, and its tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::process::{cargo, root};

/// Where the client is.
const CLIENT: &str = "clients/python";
/// What must be fine of it. `vermin` looks for what Python 3.9 does not know.
const CHECKS: [&str; 6] = [
    "ruff check .",
    "ruff format --check .",
    "mypy",
    "vermin --quiet --no-tips --target=3.9- --violations src examples",
    "pyproject-build --wheel --outdir ../../target/python/dist",
    "pytest --quiet",
];

/// Runs the tests of the Python client against the server, its linters and type checks, and builds its wheel. It needs Python 3.9
/// or later; what else it takes comes from the package index, into target/python.
pub(crate) fn test_client() -> anyhow::Result<()> {
    cargo(&["build", "--quiet", "--package", "guard-server"], &[])?;
    let python = environment("dev")?;
    let server = target().join("debug/guard-server");
    for check in CHECKS {
        eprintln!("$ {check}");
        let mut words = check.split(' ');
        let mut command = Command::new(python.with_file_name(words.next().unwrap_or_default()));
        command.args(words).env("NEURAL_GUARD_SERVER", &server);
        succeed(command.current_dir(root().join(CLIENT)), check)?;
    }
    Ok(())
}

/// A Python that has the client and one of its extras; made if it is not there.
pub(crate) fn environment(extra: &str) -> anyhow::Result<PathBuf> {
    let client = format!("{}[{extra}]", root().join(CLIENT).display());
    installed(extra, &["--editable", &client])
}

/// A program of a package from the index, in an environment of its own; made if it is not there.
pub(crate) fn tool(program: &str, package: &str) -> anyhow::Result<PathBuf> {
    let python = installed(program, &[package])?;
    Ok(python.with_file_name(program))
}

/// The Python of an environment in which something is installed.
fn installed(name: &str, what: &[&str]) -> anyhow::Result<PathBuf> {
    let folder = target().join("python").join(name);
    let python = folder.join("bin/python");
    if !python.exists() {
        eprintln!("$ python3 -m venv {}", folder.display());
        let mut make = Command::new("python3");
        let made = make.args(["-m", "venv"]).arg(&folder).status();
        let made = made.context("Python 3.9 or later is needed, and there is no `python3`")?;
        if !made.success() {
            // What is half made must not look whole.
            _ = std::fs::remove_dir_all(&folder);
            bail!("`python3` has no venv: install it (on Debian `apt-get install python3-venv`)");
        }
    }
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    succeed(install.args(what), "pip")?;
    Ok(python)
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || root().join("target"),
        |folder| root().join(Path::new(&folder)),
    )
}

fn succeed(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let status = command.status();
    let status = status.with_context(|| format!("`{what}` cannot be started"))?;
    ensure!(status.success(), "`{what}` failed");
    Ok(())
}
