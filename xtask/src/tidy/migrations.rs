//! Migrations are twins: each has one of the same name for every database.

use std::collections::BTreeSet;
use std::path::Path;

/// Every migration without a twin, once there are two databases.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut databases = Vec::new();
    for entry in std::fs::read_dir(root.join("migrations"))? {
        let folder = entry?.path();
        let names: BTreeSet<String> = std::fs::read_dir(&folder)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<std::io::Result<_>>()?;
        databases.push((
            folder
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            names,
        ));
    }
    let every: BTreeSet<&String> = databases.iter().flat_map(|(_, names)| names).collect();
    let mut wrong = Vec::new();
    for (database, names) in &databases {
        for name in every.iter().filter(|name| !names.contains(**name)) {
            wrong.push(format!(
                "migrations/{database}/{name} is missing; another database has it"
            ));
        }
    }
    Ok(wrong)
}
