//! What no compiler checks.

mod arrows;
mod migrations;
mod proofs;
mod sizes;
mod workflows;

use anyhow::bail;

use crate::process::root;

/// Runs every check and says everything that is wrong.
pub(crate) fn run() -> anyhow::Result<()> {
    let root = root();
    let mut wrong = arrows::check(&root)?;
    wrong.extend(sizes::check(&root)?);
    wrong.extend(migrations::check(&root)?);
    wrong.extend(proofs::check(&root)?);
    wrong.extend(workflows::check(&root)?);
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("tidy found:\n{}", wrong.join("\n"))
}
