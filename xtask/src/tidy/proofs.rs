//! The tests that `docs/architecture.md` names as proofs of its invariants exist.

use std::path::Path;

use anyhow::Context;

use super::sizes::source_files;

/// Where the invariants are.
const DOCUMENT: &str = "docs/architecture.md";
/// The heading of their table.
const HEADING: &str = "## Invariants";

/// Every named test that does not exist.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let document = std::fs::read_to_string(root.join(DOCUMENT))?;
    let section = document
        .split(HEADING)
        .nth(1)
        .context("there is no section of invariants")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut sources = String::new();
    for path in source_files(root)? {
        sources.push_str(&std::fs::read_to_string(path)?);
    }
    let mut wrong = Vec::new();
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.contains("proved by"));
    for row in rows {
        let proofs = row.split('|').nth(2).unwrap_or_default();
        let names: Vec<&str> = proofs
            .split('`')
            .skip(1)
            .step_by(2)
            .filter_map(test_name)
            .collect();
        if names.is_empty() {
            wrong.push(format!("{DOCUMENT}: no test is named in `{row}`"));
        }
        for name in names
            .iter()
            .filter(|name| !sources.contains(&format!("fn {name}")))
        {
            wrong.push(format!("{DOCUMENT}: there is no test `{name}`"));
        }
    }
    Ok(wrong)
}

/// The name of the function, or the beginning of it before `…`. Modules of tests and crates are not looked for.
fn test_name(path: &str) -> Option<&str> {
    let name = path.rsplit("::").next()?;
    let name = name.split('…').next().unwrap_or(name);
    (name.contains('_') && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_from_paths_and_beginnings() {
        assert_eq!(
            test_name("api::events::an_event_is_kept"),
            Some("an_event_is_kept")
        );
        assert_eq!(test_name("giving_up_after_…"), Some("giving_up_after_"));
        assert_eq!(test_name("start"), None);
    }
}
