//! Rules that act from the third match on.
#![allow(clippy::unwrap_used, reason = "tests")]

use chrono::{DateTime, TimeDelta, Utc};
use guard_domain::{DecisionKind, Event, EventTypes, RuleId, timestamp};
use guard_policy::{
    Pauses, RuleFile, RuleSet, SourceFormat, Standing, StandingState, Terms, Verdict, decide,
    explain, run_tests, simulate,
};

/// Acts on the third failure of a host within ten minutes.
const THIRD: &str = "  - { id: third, event_type: backup_failed, window: { count: 3, within: 10m, by: [context.host] }, action: { escalate: { to: default } } }\n";
const LOG: &str =
    "  - { id: log, event_type: '*', priority: -5, action: { log: { level: warn } } }\n";

fn rules(yaml: &str) -> RuleSet {
    let text = format!("rules:\n{yaml}");
    let file = RuleFile::parse("rules", &text, SourceFormat::Yaml).unwrap();
    file.compile().unwrap()
}

fn at(seconds: i64) -> DateTime<Utc> {
    timestamp::parse("2026-11-20T03:00:00").unwrap() + TimeDelta::seconds(seconds)
}

fn event(seconds: i64, context: &str) -> Event {
    let moment = at(seconds);
    let body = format!(
        r#"{{"event_type":"backup_failed","severity":"high","source":"sentinel","timestamp":"{}","context":{context}}}"#,
        timestamp::format(moment)
    );
    Event::parse(body.as_bytes(), &EventTypes::default(), moment).unwrap()
}

fn simulated(rules: &RuleSet, events: &[(i64, &str)]) -> Vec<Verdict> {
    let events: Vec<_> = events
        .iter()
        .map(|(seconds, context)| event(*seconds, context))
        .collect();
    simulate(rules, &events, &Terms::default())
        .map(Result::unwrap)
        .collect()
}

/// Events of one host at these seconds, and for each whether the rule acts.
#[track_caller]
fn check(yaml: &str, moments: &[(i64, bool)]) {
    let events: Vec<_> = moments.iter().map(|(at, _)| (*at, "{}")).collect();
    let verdicts = simulated(&rules(yaml), &events);
    let acted: Vec<_> = moments
        .iter()
        .zip(&verdicts)
        .map(|((at, _), verdict)| (*at, verdict.decision.kind == DecisionKind::Escalated))
        .collect();
    assert_eq!(acted, moments);
}

/// What the explanation says of each rule.
fn reasons(rules: &RuleSet, event: &Event, verdict: &Verdict) -> Vec<String> {
    let explained = explain(rules, event, verdict).unwrap();
    explained
        .iter()
        .map(|rule| {
            let reason = rule.skipped_because.as_deref().unwrap_or("acted");
            format!("{} {} {reason}", rule.rule_id, rule.matched)
        })
        .collect()
}

#[test]
fn a_rule_acts_from_the_count_on_and_is_not_reset_by_acting() {
    check(
        THIRD,
        &[
            (0, false),
            (60, false),
            (120, true),
            (180, true),
            (240, true),
        ],
    );
}

#[test]
fn a_match_as_old_as_the_window_counts_no_longer() {
    check(THIRD, &[(0, false), (300, false), (599, true)]);
    check(THIRD, &[(0, false), (300, false), (600, false)]);
    check(
        THIRD,
        &[
            (0, false),
            (300, false),
            (600, false),
            (899, true),
            (1499, false),
        ],
    );
}

#[test]
fn matches_out_of_order_are_counted_by_their_moments() {
    check(
        THIRD,
        &[
            (500, false),
            (0, false),
            (100, true),
            (1000, false),
            (1050, true),
        ],
    );
}

#[test]
fn a_window_that_is_not_reached_is_no_match_and_says_so() {
    let rules = rules(THIRD);
    let verdicts = simulated(&rules, &[(0, "{}"), (1, "{}"), (2, "{}")]);
    for (verdict, reason) in verdicts.iter().zip([
        "third true its window has 1 of 3 matches within 10m",
        "third true its window has 2 of 3 matches within 10m",
        "third true acted",
    ]) {
        assert_eq!(reasons(&rules, &event(0, "{}"), verdict), [reason]);
        assert_eq!(verdict.held_back, []);
    }
    let first = verdicts.first().unwrap();
    assert_eq!(first.decision.kind, DecisionKind::NoAction);
    assert_eq!(first.decision.message, "No rule matched");
    assert_eq!(first.decision.rule_id, None);
}

#[test]
fn the_next_rule_decides_until_the_window_is_reached() {
    let verdicts = simulated(
        &rules(&format!("{THIRD}{LOG}")),
        &[(0, "{}"), (1, "{}"), (2, "{}")],
    );
    let kinds: Vec<_> = verdicts
        .iter()
        .map(|verdict| verdict.decision.kind.as_str())
        .collect();
    assert_eq!(kinds, ["logged", "logged", "escalated"]);
}

#[test]
fn values_are_counted_apart_and_a_missing_one_is_a_value() {
    let (x, same, y) = (r#"{"host":"x"}"#, r#"{"host":"\u0078"}"#, r#"{"host":"y"}"#);
    let events = [x, "{}", y, same, "{}", "{}", y, x].map(|context| (0, context));
    let verdicts = simulated(&rules(THIRD), &events);
    let matches: Vec<_> = verdicts
        .iter()
        .flat_map(|verdict| verdict.windows.iter().map(|window| window.matches))
        .collect();
    assert_eq!(matches, [1, 1, 1, 2, 2, 3, 2, 3]);
}

#[test]
fn every_match_counts_whatever_decides() {
    // The first rule takes every event; of the second's own actions only the first is not in cooldown.
    let before = "  - { id: before, event_type: '*', priority: 9, action: ignore }\n";
    let verdicts = simulated(
        &rules(&format!("{before}{THIRD}")),
        &[(0, "{}"), (1, "{}"), (2, "{}")],
    );
    let last = verdicts.last().unwrap();
    assert_eq!(last.decision.kind, DecisionKind::Ignored);
    assert!(last.windows.iter().all(|window| window.is_reached()));

    let resting = THIRD.replace("action:", "cooldown_minutes: 1, action:");
    check(
        &resting,
        &[
            (0, false),
            (1, false),
            (2, true),
            (3, false),
            (61, false),
            (601, true),
            (603, false),
        ],
    );
}

#[test]
fn a_pause_holds_a_reached_window_back_and_goes_on_counting() {
    let rules = rules(THIRD);
    let mut standing = StandingState::new(Pauses {
        all: true,
        ..Pauses::default()
    });
    let mut kinds = Vec::new();
    for seconds in 0..4 {
        standing.pauses.all = seconds < 3;
        let event = event(seconds, "{}");
        let evaluation = rules.evaluate(event.body()).unwrap();
        let terms = Terms::default();
        let verdict = decide(&rules, &event, &evaluation, &standing, at(seconds), &terms);
        standing.apply(&verdict);
        kinds.push(verdict.decision.kind.as_str());
    }
    assert_eq!(kinds, ["no_action", "no_action", "suppressed", "escalated"]);
}

#[test]
fn a_shadow_shows_what_promotion_would_do() {
    let yaml = THIRD.replace("id: third,", "id: third, mode: shadow,");
    let rules = rules(&yaml);
    let verdicts = simulated(&rules, &[(0, "{}"), (1, "{}"), (2, "{}")]);
    let shadows: Vec<_> = verdicts
        .iter()
        .map(|verdict| verdict.shadows.len())
        .collect();
    assert_eq!(shadows, [0, 0, 1]);
    let said: Vec<_> = verdicts
        .iter()
        .flat_map(|verdict| reasons(&rules, &event(0, "{}"), verdict))
        .collect();
    assert_eq!(
        said,
        [
            "third true its window has 1 of 3 matches within 10m",
            "third true its window has 2 of 3 matches within 10m",
            "third true it is in shadow mode",
        ]
    );
}

#[test]
fn disabled_rules_and_stale_events_do_not_count() {
    let disabled = rules(&THIRD.replace("id: third,", "id: third, mode: disabled,"));
    let verdicts = simulated(&disabled, &[(0, "{}")]);
    assert!(verdicts.iter().all(|verdict| verdict.windows.is_empty()));

    let shadow = THIRD.replace("id: third,", "id: shadow, mode: shadow,");
    let rules = rules(&format!("{THIRD}{shadow}"));
    let old = event(0, "{}");
    let evaluation = rules.evaluate(old.body()).unwrap();
    let (standing, terms) = (StandingState::default(), Terms::default());
    let verdict = decide(&rules, &old, &evaluation, &standing, at(3601), &terms);
    assert_eq!(verdict.decision.kind, DecisionKind::Stale);
    assert_eq!((verdict.windows, verdict.shadows), (vec![], vec![]));
}

#[test]
fn no_more_is_kept_than_the_count_needs() {
    let rules = rules(THIRD);
    let mut standing = StandingState::default();
    for seconds in [9, 1, 2, 8, 3, 7] {
        let event = event(seconds, "{}");
        let evaluation = rules.evaluate(event.body()).unwrap();
        let terms = Terms::default();
        let verdict = decide(&rules, &event, &evaluation, &standing, at(seconds), &terms);
        standing.apply(&verdict);
    }
    let id = RuleId::parse("third").unwrap();
    assert!(standing.knows_matches(&id, "-") && !standing.knows_matches(&id, ""));
    let after = |seconds| standing.matches_after(&id, "-", at(seconds));
    assert_eq!([0, 7, 8, 9].map(after), [3, 2, 1, 0], "the newest are kept");
}

#[test]
fn a_test_of_a_rule_file_takes_several_events_and_expects_of_the_last() {
    let failure = |minute: &str| {
        format!(
            "{{ event_type: backup_failed, severity: high, timestamp: '2026-01-01T00:{minute}:00Z' }}"
        )
    };
    let test = |minutes: &[&str], expected: &str| {
        let events: Vec<_> = minutes.iter().map(|minute| failure(minute)).collect();
        format!(
            "  - {{ events: [{}], expect: {expected} }}\n",
            events.join(", ")
        )
    };
    let (third, none) = ("{ rule: third }", "{ rule: null, decision: no_action }");
    let tests = [
        test(&["00", "05", "09"], third),
        test(&["00", "05", "10"], none),
        test(&["00", "05"], none),
        test(&["00", "05", "10"], third),
        format!("  - {{ event: {}, expect: {none} }}\n", failure("00")),
    ];
    let text = format!("rules:\n{THIRD}tests:\n{}", tests.concat());
    let file = RuleFile::parse("rules", &text, SourceFormat::Yaml).unwrap();
    let failures: Vec<_> = run_tests(&rules(THIRD), &file.tests, &EventTypes::default())
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        failures,
        ["rules:7:5: expected rule third, got none (No rule matched)"]
    );
}
