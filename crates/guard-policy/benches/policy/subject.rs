//! What is measured, and what it is measured against.

use std::borrow::Cow;
use std::hint::black_box;
use std::time::{Duration, Instant};

use guard_policy::{RuleFile, RuleSet, Scratch, VersionedRule};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::workload::Workload;

/// Rules, compiled, and events.
pub(crate) struct Subject<'a> {
    pub(crate) rules: RuleSet,
    pub(crate) events: Vec<&'a [u8]>,
    /// How long compiling took, at best. Reading the text of the rules is not part of it.
    pub(crate) build: Duration,
}

/// The bare minimum that a typed reader would do: the fields of the event, the context left as it is.
#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    severity: Cow<'a, str>,
    #[serde(borrow)]
    context: &'a RawValue,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(workload: &'a Workload) -> Self {
        let (name, format) = (&workload.name, workload.format);
        let file = RuleFile::parse(name, &workload.rules, format);
        let parsed = file
            .expect("the rules have been read before")
            .rules
            .into_iter();
        let versioned = parsed.map(|parsed| VersionedRule {
            rule: parsed.rule,
            version: 1,
        });
        let versioned: Vec<_> = versioned.collect();
        let compile = || {
            let rules = versioned.clone();
            let start = Instant::now();
            let compiled =
                RuleSet::compile(1, rules).expect("rules that were read can be compiled");
            (start.elapsed(), compiled)
        };
        let (mut build, rules) = compile();
        for _ in 0..4 {
            build = build.min(compile().0);
        }
        Self {
            rules,
            events: workload
                .events
                .iter()
                .map(|event| event.as_bytes())
                .collect(),
            build,
        }
    }

    /// How many matches there are in all.
    pub(crate) fn all_matches(&self, scratch: &mut Scratch) -> usize {
        let count = |event: &&[u8]| self.rules.matches(event, scratch).unwrap().count();
        self.events.iter().map(count).sum()
    }

    pub(crate) fn first_matches(&self, scratch: &mut Scratch) {
        for event in &self.events {
            black_box(self.rules.first_match(event, scratch).unwrap());
        }
    }

    pub(crate) fn parse_values(&self) {
        for event in &self.events {
            black_box(serde_json::from_slice::<serde_json::Value>(event).unwrap());
        }
    }

    pub(crate) fn parse_typed(&self) {
        for event in &self.events {
            let typed: Typed<'_> = serde_json::from_slice(event).unwrap();
            black_box((typed.event_type, typed.severity, typed.context));
        }
    }

    /// The plain evaluation of the first events, since it takes long.
    pub(crate) fn plain_matches(&self, events: usize) {
        for event in self.events.iter().take(events) {
            black_box(self.rules.matches_plainly(event).unwrap());
        }
    }
}
