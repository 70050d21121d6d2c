//! The fuzz target over its corpus.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../fuzz/checks.rs"]
mod checks;

use std::path::Path;

#[test]
fn event_bodies_are_kept_as_sent_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/event-bodies");
    let mut checked = 0;
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        checks::event_body(&std::fs::read(path).unwrap());
        checked += 1;
    }
    assert!(
        checked >= 10,
        "only {checked} files in {}",
        folder.display()
    );
}
