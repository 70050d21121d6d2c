//! Finding matches, per event from its bytes, beside a bare parse of the same bytes: `cargo xtask bench policy`.
//!
//! Without further ado the shapes of [`workload`] are measured with criterion. `GUARD_BENCH_RULES` and `GUARD_BENCH_EVENTS`
//! name files to measure instead. `GUARD_BENCH_RESULTS` names a file for the results, one JSON object per line.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

mod files;
mod shapes;
mod subject;
mod workload;

use std::io::Write;

use workload::Workload;

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        // A test runner looks for tests; there are none.
        return;
    }
    let results = match Workload::from_files() {
        Some(workload) => vec![files::measure(&workload)],
        None => shapes::measure(),
    };
    let Some(path) = std::env::var_os("GUARD_BENCH_RESULTS") else {
        return;
    };
    let mut file = std::fs::File::create(path).expect("the file for the results can be made");
    for result in results {
        writeln!(file, "{result}").expect("the results can be written");
    }
}
