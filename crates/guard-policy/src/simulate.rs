//! Running rules over events without a server.

use std::fmt;

use guard_domain::{Event, EventError, EventTypes, timestamp};

use crate::decide::{Terms, decide};
use crate::malformed::MalformedEvent;
use crate::rule_set::RuleSet;
use crate::source::{Place, RuleTest};
use crate::standing::{Pauses, StandingState};
use crate::verdict::{Effect, Verdict};

/// Decides about a stream of events as a server would have, cooldowns and windows included.
///
/// The clock is the events' own: each is decided at its timestamp, and every playbook counts as delivered at once.
/// The same rules and events give the same verdicts.
pub fn simulate<'a>(
    rules: &'a RuleSet,
    events: impl IntoIterator<Item = &'a Event> + 'a,
    terms: &'a Terms,
) -> impl Iterator<Item = Result<Verdict, MalformedEvent>> + 'a {
    let mut standing = StandingState::new(Pauses::default());
    events.into_iter().map(move |event| {
        let evaluation = rules.evaluate(event.body())?;
        let verdict = decide(
            rules,
            event,
            &evaluation,
            &standing,
            event.timestamp(),
            terms,
        );
        standing.apply(&verdict);
        standing.deliver_all();
        Ok(verdict)
    })
}

/// A test of a rule file that did not come out as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFailure {
    /// The file of the test.
    pub file: String,
    /// Where it begins.
    pub place: Place,
    /// What was expected and what came out.
    pub detail: String,
}

impl fmt::Display for TestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.place.line, self.place.column, self.detail
        )
    }
}

/// Runs the tests of a rule file, each on its own, as if nothing had happened before its events. Returns those that failed.
#[must_use]
pub fn run_tests(rules: &RuleSet, tests: &[RuleTest], types: &EventTypes) -> Vec<TestFailure> {
    tests
        .iter()
        .filter_map(|test| {
            let detail = run_test(rules, test, types).err()?;
            Some(TestFailure {
                file: test.file.clone(),
                place: test.place,
                detail,
            })
        })
        .collect()
}

fn run_test(rules: &RuleSet, test: &RuleTest, types: &EventTypes) -> Result<(), String> {
    let parse = |body: &String| {
        let parsed = Event::parse(body.as_bytes(), types, timestamp_of(body));
        parsed.map_err(|error| in_words(&error))
    };
    let events: Vec<Event> = test.events.iter().map(parse).collect::<Result<_, _>>()?;
    let terms = Terms::default();
    let verdicts: Result<Vec<_>, _> = simulate(rules, &events, &terms).collect();
    let verdicts = verdicts.map_err(|error| error.to_string())?;
    let verdict = verdicts.last().ok_or("the test has no event")?;
    let decision = &verdict.decision;
    if let Some(expected) = test.decision.filter(|expected| *expected != decision.kind) {
        return Err(format!(
            "expected decision {expected}, got {} ({})",
            decision.kind, decision.message
        ));
    }
    let text = |rule: &Option<guard_domain::RuleId>| {
        rule.as_ref()
            .map_or_else(|| "none".to_owned(), ToString::to_string)
    };
    if let Some(expected) = test
        .rule
        .as_ref()
        .filter(|expected| **expected != decision.rule_id)
    {
        return Err(format!(
            "expected rule {}, got {} ({})",
            text(expected),
            text(&decision.rule_id),
            decision.message
        ));
    }
    let playbook = match &verdict.effect {
        Effect::Playbook { name, .. } => Some(name),
        _ => None,
    };
    match &test.playbook {
        Some(expected) if playbook != Some(expected) => Err(format!(
            "expected playbook {expected}, got {}",
            decision.message
        )),
        _ => Ok(()),
    }
}

/// Each event of a test is decided at its own time.
fn timestamp_of(event: &str) -> chrono::DateTime<chrono::Utc> {
    let members = guard_domain::members(event).unwrap_or_default();
    let text = members.0.iter().find(|(key, _)| key == "timestamp");
    text.and_then(|(_, raw)| serde_json::from_str::<String>(raw.get()).ok())
        .and_then(|text| timestamp::parse(&text))
        .unwrap_or_default()
}

fn in_words(error: &EventError) -> String {
    match error {
        EventError::Malformed(_) => format!("the test's event is wrong: {error}"),
        EventError::Invalid(fields) => {
            let details: Vec<_> = fields
                .iter()
                .map(|field| format!("{}: {}", field.pointer, field.detail))
                .collect();
            format!("the test's event is wrong: {}", details.join("; "))
        }
    }
}
