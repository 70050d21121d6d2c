//! Rules and events to measure with.

use guard_policy::{RuleFile, RuleSet, Scratch, SourceFormat};

/// Rules and events that belong together.
pub(crate) struct Workload {
    /// What it is called in results.
    pub(crate) name: String,
    /// The text of a rule file.
    pub(crate) rules: String,
    /// How it is written.
    pub(crate) format: SourceFormat,
    /// The events, as sent.
    pub(crate) events: Vec<String>,
}

impl Workload {
    /// The workload of the files that `GUARD_BENCH_RULES` and `GUARD_BENCH_EVENTS` name: a rule file, and events one per
    /// line.
    pub(crate) fn from_files() -> Option<Self> {
        let name = std::env::var("GUARD_BENCH_RULES").ok()?;
        let read = |path: &str| {
            std::fs::read_to_string(path)
                .unwrap_or_else(|error| fail(&format!("`{path}` cannot be read: {error}")))
        };
        let format = SourceFormat::of_file_name(&name);
        let format =
            format.unwrap_or_else(|| fail(&format!("`{name}` is no .yaml, .yml or .json file")));
        let events_file = std::env::var("GUARD_BENCH_EVENTS").unwrap_or_default();
        let events: Vec<String> = read(&events_file)
            .lines()
            .map(str::to_owned)
            .filter(|line| !line.trim().is_empty())
            .collect();
        if events.is_empty() {
            fail(&format!(
                "`{events_file}` has no events; one JSON object per line is expected"
            ));
        }
        let workload = Self {
            rules: read(&name),
            name,
            format,
            events,
        };
        workload.check(&events_file);
        Some(workload)
    }

    /// Ends the program if rules or events cannot be measured with.
    fn check(&self, events_file: &str) {
        let file = RuleFile::parse(&self.name, &self.rules, self.format);
        let rules = file.unwrap_or_else(|error| fail(&error.to_string()));
        drop(rules);
        let none = RuleSet::default();
        let mut scratch = Scratch::default();
        for (event, line) in self.events.iter().zip(1..) {
            if let Err(error) = none.matches(event.as_bytes(), &mut scratch) {
                fail(&format!("{events_file}: event {line}: {error}"));
            }
            if serde_json::from_str::<serde_json::Value>(event).is_err() {
                fail(&format!(
                    "{events_file}: event {line}: `serde_json::Value`, which is measured beside, cannot hold it"
                ));
            }
        }
    }
}

fn fail(problem: &str) -> ! {
    eprintln!("{problem}");
    std::process::exit(2)
}

/// How many events a workload has.
const EVENTS: usize = 500;

/// The sizes that are measured, in rules.
pub(crate) const SIZES: [usize; 4] = [10, 100, 1000, 10_000];

/// Makes a workload of so many rules.
type Shape = fn(usize, &mut Source) -> Workload;

/// Every shape at every size.
pub(crate) fn all() -> Vec<Workload> {
    let shapes: [(&str, Shape); 5] = [
        ("mixed", mixed),
        ("sentinel", sentinel),
        ("nested 6 KB", nested),
        ("many match", many_match),
        ("any, not, quantifier", branching),
    ];
    let sized = shapes
        .iter()
        .flat_map(|shape| SIZES.map(|size| (shape, size)));
    sized
        .map(|((name, make), size)| Workload {
            name: format!("{name}/{size}"),
            ..make(size, &mut Source::new(size as u64))
        })
        .collect()
}

fn workload(rules: &[String], events: Vec<String>) -> Workload {
    Workload {
        name: String::new(),
        rules: format!(r#"{{"rules":[{}]}}"#, rules.join(",\n")),
        format: SourceFormat::Json,
        events,
    }
}

/// A stream of random numbers: SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Source(u64);

impl Source {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

const TYPES: [&str; 5] = [
    "backup_failed",
    "security_threat",
    "health_check_failed",
    "anomaly_detected",
    "user_offboarding",
];

/// Fields whose values are a name and a number, and how many values there are.
const NAMES: [(&str, &str, usize); 6] = [
    ("context.region", "region-", 5),
    ("context.service", "svc-", 20),
    ("context.reason", "reason-", 50),
    ("context.host.name", "web-", 100),
    ("context.username", "user-", 300),
    ("context.job", "job-", 1000),
];

/// Events of about 400 bytes.
fn event(source: &mut Source) -> String {
    let mut name = |at: usize| {
        let (_, prefix, count) = NAMES[at];
        format!("{prefix}{}", source.below(count))
    };
    let (region, service, reason, host, user, job) =
        (name(0), name(1), name(2), name(3), name(4), name(5));
    let rollback = ["", r#", "rollback": true"#][source.below(2)];
    format!(
        r#"{{"event_type": "{}", "severity": "{}", "context": {{"ip_address": "10.{}.{}.{}", "user_id": {}, "username": "{user}", "reason": "{reason}", "failed_logins": {}, "confidence": 0.{}, "host": {{"name": "{host}", "region": "eu-{}"}}, "region": "{region}", "service": "{service}", "job": "{job}", "load": {}.5, "tags": ["tag-{}", "tag-{}"]{rollback}}}, "source": "sentinel", "timestamp": "2026-11-20T03:01:02.123456"}}"#,
        TYPES[source.below(5)],
        ["low", "medium", "high", "critical"][source.below(4)],
        source.below(256),
        source.below(256),
        source.below(256),
        source.below(100_000),
        source.below(1000),
        source.below(1000),
        source.below(3),
        source.below(100),
        source.below(200),
        source.below(200),
    )
}

fn test(field: &str, op: &str, value: impl std::fmt::Display) -> String {
    format!(r#"{{"field":"{field}","op":"{op}","value":{value}}}"#)
}

/// A condition, and which share of the events it holds for, roughly.
fn condition(source: &mut Source) -> (String, f64) {
    let (field, prefix, count) = NAMES[source.below(NAMES.len())];
    match source.below(50) {
        0..8 => {
            let value = format!(r#""{prefix}{}""#, source.below(count));
            (test(field, "eq", value), 1.0 / count as f64)
        }
        8..14 => {
            let value: Vec<_> = (0..3)
                .map(|_| format!(r#""{prefix}{}""#, source.below(count)))
                .collect();
            (
                test(field, "in", format!("[{}]", value.join(","))),
                (3.0 / count as f64).min(1.0),
            )
        }
        14..20 => (
            test(
                field,
                "prefix",
                format!(r#""{prefix}{}""#, 1 + source.below(9)),
            ),
            0.12,
        ),
        20..24 => (
            test(field, "suffix", format!(r#""{}""#, source.below(10))),
            0.1,
        ),
        24..30 => {
            let least = source.below(1000);
            (
                test("context.failed_logins", "gte", least),
                1.0 - least as f64 / 1000.0,
            )
        }
        30..34 => {
            let most = source.below(1000);
            (test("context.confidence", "lt", format!("0.{most}")), 0.5)
        }
        34..37 => (
            test("context.rollback", "exists", "").replace(r#","value":"#, ""),
            0.5,
        ),
        37..41 => {
            let network = format!(
                r#""10.{}.0.0/{}""#,
                source.below(256) & 0xf0,
                12 + source.below(4) / 4
            );
            (test("context.ip_address", "cidr", network), 1.0 / 16.0)
        }
        41..45 => (
            test(
                "context.tags",
                "contains",
                format!(r#""tag-{}""#, source.below(200)),
            ),
            0.01,
        ),
        45..48 => (
            test(
                "context.region",
                "ne",
                format!(r#""region-{}""#, source.below(5)),
            ),
            0.8,
        ),
        48 => (
            test(
                "context.user_id",
                "between",
                format!("[{}, 50000]", source.below(40_000)),
            ),
            0.3,
        ),
        _ => (
            test(
                "context.job",
                "regex",
                format!(r#""^job-[0-9]*{}$""#, source.below(10)),
            ),
            0.1,
        ),
    }
}

/// An event type and two to four mixed conditions, of which about one rule in all matches.
fn mixed_rule(id: usize, size: usize, source: &mut Source) -> String {
    let per_type = size as f64 / TYPES.len() as f64;
    let (mut conditions, mut share) = (Vec::new(), 1.0);
    for _ in 0..1 + source.below(3) {
        let (condition, holds) = condition(source);
        conditions.push(condition);
        share *= holds;
    }
    // More conditions bring the rule down to its share.
    while conditions.len() < 4 && per_type * share > 1.5 {
        let fits = |(_, _, count): &&(&str, &str, usize)| *count as f64 >= per_type * share;
        let (field, prefix, count) = NAMES.iter().find(fits).unwrap_or(&NAMES[NAMES.len() - 1]);
        conditions.push(test(
            field,
            "eq",
            format!(r#""{prefix}{}""#, source.below(*count)),
        ));
        share /= *count as f64;
    }
    if conditions.len() < 2 {
        conditions.push(condition(source).0);
    }
    rule(id, TYPES[source.below(5)], &conditions)
}

fn rule(id: usize, event_type: &str, conditions: &[String]) -> String {
    format!(
        r#"{{"id":"r-{id}","event_type":"{event_type}","priority":{},"action":"ignore","conditions":[{}]}}"#,
        id % 7,
        conditions.join(",")
    )
}

fn mixed(size: usize, source: &mut Source) -> Workload {
    let rules: Vec<_> = (0..size).map(|id| mixed_rule(id, size, source)).collect();
    workload(&rules, (0..EVENTS).map(|_| event(source)).collect())
}

/// The events of the monitor, and rules for the fields that they have.
fn sentinel(size: usize, source: &mut Source) -> Workload {
    let rules = (0..size).map(|id| {
        let event_type = TYPES[source.below(5)];
        let conditions = [
            test(
                "context.host.name",
                "eq",
                format!(r#""web-{}""#, source.below(size + 20)),
            ),
            test("context.failed_logins", "gte", source.below(30)),
            test("context.ip_address", "not_cidr", r#""10.0.0.0/8""#),
        ];
        let backup = [
            test("context.retry_count", "lt", source.below(5)),
            test(
                "context.error",
                "contains",
                format!(r#""error {}""#, source.below(size)),
            ),
        ];
        let few = if event_type == "backup_failed" {
            &backup[..]
        } else {
            &conditions[..]
        };
        rule(id, event_type, few)
    });
    let rules: Vec<_> = rules.collect();
    let events = include_str!("sentinel.ndjson")
        .lines()
        .map(str::to_owned)
        .collect();
    workload(&rules, events)
}

/// Events of 6 KB of which rules look at little.
fn nested(size: usize, source: &mut Source) -> Workload {
    let mixed = mixed(size, source);
    let detail = |source: &mut Source| {
        format!(
            r#"{{"id": {}, "name": "process-{}", "path": "/usr/lib/service/bin/worker-{}", "open_files": [{}, {}, {}], "env": {{"LANG": "C.UTF-8", "note": "a \"quoted\" word"}}, "cpu": 0.{}}}"#,
            source.below(100_000),
            source.below(100),
            source.below(100),
            source.below(9),
            source.below(99),
            source.below(999),
            source.below(1000)
        )
    };
    let events = mixed.events.iter().take(100);
    let events = events
        .map(|event| {
            let details: Vec<_> = (0..30).map(|_| detail(source)).collect();
            let more = format!(r#""context": {{"processes": [{}], "#, details.join(", "));
            event.replacen(r#""context": {"#, &more, 1)
        })
        .collect();
    Workload { events, ..mixed }
}

/// Hundreds of rules match each event: every condition is broad.
fn many_match(size: usize, source: &mut Source) -> Workload {
    let rules = (0..size).map(|id| {
        let conditions = [
            test("context.failed_logins", "gte", source.below(500)),
            test(
                "context.region",
                "ne",
                format!(r#""region-{}""#, source.below(5)),
            ),
            test(
                "context.confidence",
                "lt",
                format!("0.{}", 500 + source.below(500)),
            ),
        ];
        rule(id, TYPES[id % 5], &conditions)
    });
    let rules: Vec<_> = rules.collect();
    workload(&rules, (0..EVENTS).map(|_| event(source)).collect())
}

/// Rules full of alternatives, negations and quantifiers.
fn branching(size: usize, source: &mut Source) -> Workload {
    let rules = (0..size).map(|id| {
        let any = |source: &mut Source| {
            let few: Vec<_> = (0..2 + source.below(2))
                .map(|_| condition(source).0)
                .collect();
            format!(r#"{{"any":[{}]}}"#, few.join(","))
        };
        let tags = format!(
            r#"["tag-{}","tag-{}","tag-{}"]"#,
            source.below(200),
            source.below(200),
            source.below(200)
        );
        let all = test("context.tags", "in", tags).replace('}', r#","quantifier":"all"}"#);
        let job = test(
            "context.job",
            "in",
            format!(
                r#"["job-{}","job-{}"]"#,
                source.below(1000),
                source.below(1000)
            ),
        );
        let conditions = [
            any(source),
            format!(
                r#"{{"not":{{"all":[{},{}]}}}}"#,
                condition(source).0,
                condition(source).0
            ),
            if source.below(4) == 0 { all } else { job },
        ];
        rule(id, TYPES[source.below(5)], &conditions)
    });
    let rules: Vec<_> = rules.collect();
    workload(&rules, (0..EVENTS).map(|_| event(source)).collect())
}
