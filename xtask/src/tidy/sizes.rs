//! The sizes of source files.

use std::path::{Path, PathBuf};

/// The most lines of production code that a file may have: what stands before its tests.
const MOST_LINES: usize = 300;
/// Where source files are.
const FOLDERS: [&str; 3] = ["crates", "apps", "xtask"];
/// Where the code of tests is, which has no budget.
const TESTS: [&str; 4] = [
    "/tests/",
    "/benches/",
    "/tests.rs",
    "guard-testkit/src/contract",
];

/// Every file that has outgrown the budget.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for path in source_files(root)? {
        let shown = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        if TESTS.iter().any(|folder| shown.contains(folder)) {
            continue;
        }
        let lines = production_lines(&std::fs::read_to_string(&path)?);
        if lines > MOST_LINES {
            wrong.push(format!(
                "{shown} has {lines} lines of production code, {MOST_LINES} is the most"
            ));
        }
    }
    Ok(wrong)
}

/// Every source file of the workspace.
pub(super) fn source_files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut files)?;
    }
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// Lines before the module of tests, without blank lines and comments.
fn production_lines(text: &str) -> usize {
    let production = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    let lines = production.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_production_code_counts() {
        let text = "//! About.\n\nfn one() {}\n// Why.\nfn two() {}\n\n#[cfg(test)]\nmod tests {\n    fn three() {}\n}\n";
        assert_eq!(production_lines(text), 2);
    }
}
