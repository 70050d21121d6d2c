//! Rules and events of one's own.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use guard_domain::RuleMode;
use guard_policy::Scratch;
use serde_json::{Value, json};

use crate::subject::Subject;
use crate::workload::Workload;

/// What is compared is measured in turn, so that a busy machine slows all of it, and in so many rounds.
const ROUNDS: usize = 15;
/// How long one of them takes in a round, about.
const TURN: Duration = Duration::from_millis(60);

/// Measures the workload. Of each figure the median of the rounds is told.
pub(crate) fn measure(workload: &Workload) -> Value {
    let subject = Subject::new(workload);
    let (matches_total, matches_per_rule) = count(&subject);
    let mut scratch = Scratch::default();
    let plain_events = subject.events.len().min(plain_events(&subject));
    let mut all = Timer::new(subject.events.len());
    let mut first = Timer::new(subject.events.len());
    let mut value = Timer::new(subject.events.len());
    let mut plain = Timer::new(plain_events);
    for _ in 0..ROUNDS {
        value.turn(|| subject.parse_values());
        all.turn(|| {
            subject.all_matches(&mut scratch);
        });
        first.turn(|| subject.first_matches(&mut scratch));
        plain.turn(|| subject.plain_matches(plain_events));
    }
    json!({
        "rules": subject.rules.rules().count(),
        "events": subject.events.len(),
        "ns_per_event": all.median(),
        "first_match_ns_per_event": first.median(),
        "value_parse_ns_per_event": value.median(),
        "oracle_ns_per_event": plain.median(),
        "build_ms": subject.build.as_secs_f64() * 1000.0,
        "matches_total": matches_total,
        "matches_per_rule": matches_per_rule,
    })
}

/// The plain evaluation is measured on as many of the first events as take about a turn.
fn plain_events(subject: &Subject<'_>) -> usize {
    let start = Instant::now();
    subject.plain_matches(1);
    let one = start.elapsed().as_nanos().max(1);
    usize::try_from(TURN.as_nanos() / one).unwrap_or(1).max(1)
}

/// The matches of each rule of mode `active`, cooldowns ignored; rules that match nothing are there with 0.
fn count(subject: &Subject<'_>) -> (u64, BTreeMap<String, u64>) {
    let active = |rule: &guard_domain::Rule| rule.mode == RuleMode::Active;
    let rules = subject.rules.rules().filter(|(rule, _)| active(rule));
    let mut per_rule: BTreeMap<_, u64> = rules.map(|(rule, _)| (rule.id.to_string(), 0)).collect();
    let mut scratch = Scratch::default();
    for event in &subject.events {
        let matches = subject.rules.matches(event, &mut scratch).unwrap();
        for rule in matches.filter(|rule| active(rule)) {
            *per_rule.get_mut(rule.id.as_str()).unwrap() += 1;
        }
    }
    (per_rule.values().sum(), per_rule)
}

/// Nanoseconds per event, one figure per round.
struct Timer {
    events: usize,
    /// How often the events are gone through in a turn; found in the first.
    repeats: u32,
    rounds: Vec<f64>,
}

impl Timer {
    const fn new(events: usize) -> Self {
        Self {
            events,
            repeats: 0,
            rounds: Vec::new(),
        }
    }

    fn turn(&mut self, mut run: impl FnMut()) {
        if self.repeats == 0 {
            let start = Instant::now();
            run();
            let once = start.elapsed().as_nanos().max(1);
            self.repeats = u32::try_from(TURN.as_nanos() / once)
                .unwrap_or(u32::MAX)
                .max(1);
        }
        let start = Instant::now();
        for _ in 0..self.repeats {
            run();
        }
        let nanos = start.elapsed().as_secs_f64() * 1e9;
        self.rounds
            .push(nanos / f64::from(self.repeats) / self.events as f64);
    }

    fn median(&mut self) -> f64 {
        self.rounds.sort_by(f64::total_cmp);
        self.rounds[self.rounds.len() / 2]
    }
}
