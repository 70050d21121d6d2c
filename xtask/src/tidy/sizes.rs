//! The sizes of source files.

use std::path::{Path, PathBuf};

/// The most lines of production code that a file may have: what stands before its tests.
const MOST_LINES: usize = 300;
/// Where source files are.
const FOLDERS: [&str; 3] = ["crates", "apps", "xtask"];

/// Every file that has outgrown the budget.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut files)?;
    }
    let mut wrong = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path)?;
        let lines = production_lines(&text);
        if lines > MOST_LINES {
            let shown = path.strip_prefix(root).unwrap_or(&path).display();
            wrong.push(format!(
                "{shown} has {lines} lines of production code, {MOST_LINES} is the most"
            ));
        }
    }
    Ok(wrong)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() && !matches!(name, "tests" | "benches" | "target" | "contract") {
            collect(&path, files)?;
        } else if name.ends_with(".rs") {
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
