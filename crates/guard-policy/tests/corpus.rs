//! The fuzz targets over their corpus.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../fuzz/checks.rs"]
mod checks;

use std::path::Path;

#[track_caller]
fn each(corpus: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(corpus);
    let mut checked = 0;
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        check(&std::fs::read(path).unwrap());
        checked += 1;
    }
    assert!(
        checked >= 10,
        "only {checked} files in {}",
        folder.display()
    );
}

#[test]
fn rule_texts_are_read_or_refused() {
    each("rules", checks::rule_text);
}

#[test]
fn the_engine_agrees_with_the_plain_evaluation_on_all_bytes() {
    each("events", checks::event_bytes);
}
