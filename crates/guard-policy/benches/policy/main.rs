#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]
use guard_policy::*;
use std::time::Instant;
mod workload;
fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    for w in workload::all() {
        if !(filter.is_empty() || w.name == filter) {
            continue;
        }
        let file = RuleFile::parse("b", &w.rules, SourceFormat::Json).unwrap();
        let rules: Vec<_> = file
            .rules
            .into_iter()
            .map(|p| VersionedRule {
                rule: p.rule,
                version: 1,
            })
            .collect();
        let t = Instant::now();
        let set = RuleSet::compile(1, rules).unwrap();
        let build = t.elapsed();
        let mut s = Scratch::default();
        if std::env::args().nth(2).is_some() {
            let mut s = Scratch::default();
            for _ in 0..3_000_000 / w.events.len() {
                for e in &w.events {
                    std::hint::black_box(set.matches(e.as_bytes(), &mut s).unwrap().count());
                }
            }
            continue;
        }
        let mut best = [f64::MAX; 3];
        let mut total = 0;
        let reps = 20000 / w.events.len();
        for _ in 0..15 {
            let t = Instant::now();
            for _ in 0..reps {
                for e in &w.events {
                    std::hint::black_box(
                        serde_json::from_slice::<serde_json::Value>(e.as_bytes()).unwrap(),
                    );
                }
            }
            best[0] = best[0].min(t.elapsed().as_nanos() as f64 / (reps * w.events.len()) as f64);
            let t = Instant::now();
            total = 0;
            for _ in 0..reps {
                for e in &w.events {
                    total += set.matches(e.as_bytes(), &mut s).unwrap().count();
                }
            }
            best[1] = best[1].min(t.elapsed().as_nanos() as f64 / (reps * w.events.len()) as f64);
            let t = Instant::now();
            for _ in 0..reps {
                for e in &w.events {
                    std::hint::black_box(set.first_match(e.as_bytes(), &mut s).unwrap());
                }
            }
            best[2] = best[2].min(t.elapsed().as_nanos() as f64 / (reps * w.events.len()) as f64);
        }
        println!(
            "{:26} bytes {:5} V {:7.0} all {:7.0} ({:.2}) first {:7.0} matches/event {:.2} build {:?}",
            w.name,
            w.events[0].len(),
            best[0],
            best[1],
            best[1] / best[0],
            best[2],
            total as f64 / (reps * w.events.len()) as f64,
            build
        );
    }
}
