//! The readable engine, per event from its text, beside a bare parse of the same bytes.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use guard_policy::{RuleFile, RuleSet, SourceFormat, VersionedRule};

const EVENT: &str = r#"{"event_type": "security_threat", "severity": "critical", "context": {"ip_address": "203.0.113.45", "user_id": 4711, "username": "alice", "reason": "brute force", "failed_logins": 27, "window_minutes": 5, "confidence": 0.98, "host": {"name": "web-17", "region": "eu-1"}, "tags": ["ssh", "bruteforce"]}, "source": "sentinel", "timestamp": "2026-11-20T03:01:02.123456"}"#;

/// Rules of an event type and three conditions, of which one in all matches.
fn rules(count: usize) -> RuleSet {
    let rule = |i: usize| {
        format!(
            r#"{{"id":"r-{i}","event_type":"security_threat","action":"ignore","conditions":[
                {{"field":"context.failed_logins","op":"gte","value":10}},
                {{"field":"context.host.name","op":"eq","value":"web-{i}"}},
                {{"field":"context.ip_address","op":"not_cidr","value":"10.0.0.0/8"}}]}}"#
        )
    };
    let rules: Vec<String> = (0..count).map(|i| rule(i + 8)).collect();
    let text = format!(r#"{{"rules":[{}]}}"#, rules.join(","));
    let file = RuleFile::parse("bench", &text, SourceFormat::Json).unwrap();
    let rules = file.rules.into_iter().map(|p| VersionedRule {
        rule: p.rule,
        version: 1,
    });
    RuleSet::compile(1, rules.collect()).unwrap()
}

fn evaluate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("event");
    group.bench_function("serde_json::Value", |bencher| {
        bencher.iter(|| serde_json::from_str::<serde_json::Value>(black_box(EVENT)).unwrap());
    });
    for count in [10, 100, 1000] {
        let rules = rules(count);
        group.bench_with_input(
            BenchmarkId::new("rules", count),
            &rules,
            |bencher, rules| {
                bencher.iter(|| rules.evaluate(black_box(EVENT)).unwrap());
            },
        );
    }
    group.finish();
}

criterion_group!(benches, evaluate);
criterion_main!(benches);
