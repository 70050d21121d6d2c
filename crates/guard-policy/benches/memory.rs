//! How many bytes a compiled rule set keeps: `cargo xtask bench policy`.
//!
//! Apart from the measuring of time, since counting slows every allocation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    dead_code,
    reason = "a benchmark"
)]

#[path = "policy/workload.rs"]
mod workload;

use std::io::Write;

use guard_policy::RuleFile;
use workload::Workload;

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        // A test runner looks for tests; there are none.
        return;
    }
    let filter = std::env::var("GUARD_BENCH_FILTER").unwrap_or_default();
    let workloads = match Workload::from_files() {
        Some(workload) => vec![workload],
        None => workload::all(),
    };
    let chosen = workloads
        .iter()
        .filter(|workload| workload.name.contains(&filter));
    let results = chosen.map(|workload| (&workload.name, measure(workload)));
    let results =
        results.map(|(name, bytes)| serde_json::json!({ "name": name, "rule_set_bytes": bytes }));
    let results: Vec<_> = results.collect();
    let Some(path) = std::env::var_os("GUARD_BENCH_RESULTS") else {
        println!("{results:#?}");
        return;
    };
    let mut file = std::fs::File::create(path).expect("the file for the results can be made");
    for result in results {
        writeln!(file, "{result}").expect("the results can be written");
    }
}

/// What is allocated while rules are compiled and is still there afterwards, the rules themselves included.
fn measure(workload: &Workload) -> i64 {
    let file = RuleFile::parse(&workload.name, &workload.rules, workload.format).unwrap();
    let mut kept = None;
    let info = allocation_counter::measure(|| kept = Some(file.compile().unwrap()));
    drop(kept);
    info.bytes_current
}
