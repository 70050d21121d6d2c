//! Installing what Debian has, where that is allowed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

/// Installs a package that is not there if this is root on Debian, and says so. Elsewhere whoever needs it says what is
/// missing.
pub(crate) fn install_unless(is_there: bool, package: &str) -> anyhow::Result<()> {
    if is_there || !is_root_on_debian() {
        return Ok(());
    }
    eprintln!("`{package}` is not there and is installed; this takes a minute, once");
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
