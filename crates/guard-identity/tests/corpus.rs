//! The fuzz target over its corpus.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../fuzz/checks.rs"]
mod checks;

use std::path::Path;

#[test]
fn right_tokens_open_and_no_others_do() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/tokens");
    let mut checked = 0;
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        checks::token(&std::fs::read(path).unwrap());
        checked += 1;
    }
    assert!(
        checked >= 10,
        "only {checked} files in {}",
        folder.display()
    );
}
