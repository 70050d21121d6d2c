//! The shapes that come with the crate, measured with criterion.

use std::path::PathBuf;
use std::time::Duration;

use criterion::Criterion;
use guard_policy::Scratch;
use serde_json::{Value, json};

use crate::subject::Subject;
use crate::workload;

/// Measures every shape at every size; `GUARD_BENCH_FILTER` names a part of those to measure.
pub(crate) fn measure() -> Vec<Value> {
    let filter = std::env::var("GUARD_BENCH_FILTER").unwrap_or_default();
    let home = std::env::var_os("CRITERION_HOME").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../target/criterion"
            ))
        },
        PathBuf::from,
    );
    let mut criterion = Criterion::default()
        .output_directory(&home)
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    let chosen = workload::all()
        .into_iter()
        .filter(|workload| workload.name.contains(&filter));
    chosen
        .map(|workload| {
            let subject = Subject::new(&workload);
            run(&mut criterion, &workload.name, &subject);
            let read = |function: &str| {
                let path = home.join(workload.name.replace(['/', ','], "_")).join(function);
                let text = std::fs::read_to_string(path.join("new/estimates.json"));
                let estimates: Value = serde_json::from_str(&text.unwrap()).unwrap();
                estimates["median"]["point_estimate"].as_f64().unwrap()
            };
            let per_event = |function: &str| read(function) / subject.events.len() as f64;
            let plain = read("plain") / plain_events(&subject) as f64;
            let matches = subject.all_matches(&mut Scratch::default());
            json!({
                "name": workload.name,
                "event_bytes": subject.events.iter().map(|event| event.len()).sum::<usize>() / subject.events.len(),
                "matches_per_event": matches as f64 / subject.events.len() as f64,
                "ns_per_event": per_event("matches"),
                "first_match_ns_per_event": per_event("first_match"),
                "value_parse_ns_per_event": per_event("value"),
                "typed_parse_ns_per_event": per_event("typed"),
                "oracle_ns_per_event": plain,
                "build_ms": subject.build.as_secs_f64() * 1000.0,
            })
        })
        .collect()
}

/// How many events the plain evaluation is measured on: it takes about 100 ns for each rule.
fn plain_events(subject: &Subject<'_>) -> usize {
    let most = 200_000 / subject.rules.rules().count().max(1);
    subject.events.len().min(most.max(5))
}

fn run(criterion: &mut Criterion, name: &str, subject: &Subject<'_>) {
    let mut group = criterion.benchmark_group(name.replace(['/', ','], "_"));
    let mut scratch = Scratch::default();
    group.bench_function("value", |bencher| bencher.iter(|| subject.parse_values()));
    group.bench_function("matches", |bencher| {
        bencher.iter(|| subject.all_matches(&mut scratch));
    });
    group.bench_function("first_match", |bencher| {
        bencher.iter(|| subject.first_matches(&mut scratch));
    });
    group.bench_function("typed", |bencher| bencher.iter(|| subject.parse_typed()));
    let events = plain_events(subject);
    group.bench_function("plain", |bencher| {
        bencher.iter(|| subject.plain_matches(events));
    });
    group.finish();
}
