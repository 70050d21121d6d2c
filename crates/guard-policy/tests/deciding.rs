//! From rules and events to decisions.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use chrono::{DateTime, TimeDelta, Utc};
use guard_domain::{DecisionKind, EscalationReason, Event, EventTypes, RuleId, timestamp};
use guard_policy::{
    Effect, Pauses, RuleFile, RuleSet, SourceFormat, Standing, StandingState, Terms, Verdict,
    VersionedRule, decide, explain, simulate,
};

fn rules(yaml: &str) -> RuleSet {
    let text = format!("rules:\n{yaml}");
    let file = RuleFile::parse("rules", &text, SourceFormat::Yaml).unwrap();
    let rules = file.rules.into_iter().map(|p| VersionedRule {
        rule: p.rule,
        version: 3,
    });
    RuleSet::compile(7, rules.collect()).unwrap()
}

fn at(minutes: i64) -> DateTime<Utc> {
    timestamp::parse("2026-11-20T03:00:00").unwrap() + TimeDelta::minutes(minutes)
}

fn event(minutes: i64, context: &str) -> Event {
    let body = format!(
        r#"{{"event_type":"backup_failed","severity":"high","source":"sentinel","timestamp":"{}","context":{context}}}"#,
        timestamp::format(at(minutes))
    );
    Event::parse(body.as_bytes(), &EventTypes::default(), at(minutes)).unwrap()
}

fn decided(rules: &RuleSet, event: &Event, standing: &StandingState, terms: &Terms) -> Verdict {
    let evaluation = rules.evaluate(event.body()).unwrap();
    decide(
        rules,
        event,
        &evaluation,
        standing,
        event.timestamp(),
        terms,
    )
}

fn decide_one(yaml: &str, context: &str) -> Verdict {
    decided(
        &rules(yaml),
        &event(0, context),
        &StandingState::default(),
        &Terms::default(),
    )
}

const PLAYBOOK: &str = "  - { id: a, event_type: backup_failed, cooldown_minutes: 10, cooldown_by: [context.host], action: { trigger_playbook: { name: fix } } }\n";
const LOG: &str =
    "  - { id: b, event_type: '*', priority: -5, action: { log: { level: warn } } }\n";

#[test]
fn the_highest_priority_decides_and_ties_go_by_order() {
    let yaml = "  - { id: low, event_type: '*', action: ignore }\n  - { id: first, event_type: '*', priority: 5, action: { escalate: { to: default } } }\n  - { id: second, event_type: '*', priority: 5, action: ignore }\n";
    let verdict = decide_one(yaml, "{}");
    assert_eq!(
        verdict.decision.rule_id,
        Some(RuleId::parse("first").unwrap())
    );
    assert_eq!(
        (verdict.decision.rule_version, verdict.decision.revision),
        (Some(3), 7)
    );
    assert_eq!(verdict.decision.message, "Escalated to: default");
}

#[test]
fn without_params_the_context_is_sent_as_it_came() {
    let verdict = decide_one(PLAYBOOK, r#"{"a" :1.50, "a":2}"#);
    assert_eq!(verdict.decision.message, "Triggered playbook: fix");
    let Effect::Playbook {
        params,
        dry_run: false,
        ..
    } = verdict.effect
    else {
        unreachable!()
    };
    assert_eq!(params, r#"{"a" :1.50, "a":2}"#);
}

#[test]
fn a_cooldown_is_kept_per_value_and_falls_through_to_the_next_rule() {
    let rules = rules(&format!("{PLAYBOOK}{LOG}"));
    let events = [
        event(0, r#"{"host":"x"}"#),
        event(1, r#"{"host":"\u0078"}"#),
        event(2, r#"{"host":"y"}"#),
        event(3, "{}"),
        event(4, "{}"),
        event(9, r#"{"host":"x"}"#),
        event(10, r#"{"host":"x"}"#),
    ];
    let terms = Terms::default();
    let kinds: Vec<_> = simulate(&rules, &events, &terms)
        .map(|verdict| verdict.unwrap().decision.kind.as_str())
        .collect();
    let (fired, logged) = ("playbook_triggered", "logged");
    assert_eq!(kinds, [fired, logged, fired, fired, logged, logged, fired]);
}

#[test]
fn equal_numbers_share_a_cooldown_and_types_do_not() {
    let rules = rules(PLAYBOOK);
    let bucket = |context: &str| {
        rules.evaluate(event(0, context).body()).unwrap().matches[0]
            .cooldown_value
            .clone()
    };
    assert_eq!(bucket(r#"{"host":1}"#), bucket(r#"{"host":1.0}"#));
    assert_ne!(bucket(r#"{"host":1}"#), bucket(r#"{"host":"1"}"#));
    assert_eq!(bucket("{}"), bucket(r#"{"host":"a\u0000"}"#));
    assert_ne!(bucket("{}"), bucket(r#"{"host":"-"}"#));
    assert_ne!(bucket("{}"), bucket(r#"{"host":null}"#));
}

#[test]
fn rules_that_are_held_back_suppress_and_say_why() {
    let rules = rules(PLAYBOOK);
    let event = event(0, r#"{"host":"x"}"#);
    let id = RuleId::parse("a").unwrap();
    let value = rules.evaluate(event.body()).unwrap().matches[0]
        .cooldown_value
        .clone();

    let mut cooling = StandingState::default();
    cooling.set_cooldown(id.clone(), value.clone(), at(5));
    let mut undelivered = StandingState::default();
    undelivered.set_undelivered(id.clone(), value);
    let paused = |change: fn(&mut Pauses)| {
        let mut pauses = Pauses::default();
        change(&mut pauses);
        StandingState::new(pauses)
    };
    for (standing, reason) in [
        (
            cooling,
            "Suppressed: a is in cooldown until 2026-11-20T03:05:00.000000Z",
        ),
        (
            undelivered,
            "Suppressed: a has an execution that is undelivered",
        ),
        (paused(|p| p.all = true), "Suppressed: a is paused (all)"),
        (
            paused(|p| p.rules.extend(RuleId::parse("a"))),
            "Suppressed: a is paused (rule:a)",
        ),
        (
            paused(|p| p.playbooks.extend(guard_domain::PlaybookName::parse("fix"))),
            "Suppressed: a is paused (playbook:fix)",
        ),
    ] {
        let verdict = decided(&rules, &event, &standing, &Terms::default());
        assert_eq!(verdict.decision.kind, DecisionKind::Suppressed);
        assert_eq!(verdict.decision.message, reason);
        assert_eq!(verdict.decision.rule_id, Some(id.clone()));
        assert_eq!((verdict.effect, verdict.claim), (Effect::None, None));
    }
}

#[test]
fn an_old_event_is_stale_whatever_matches() {
    let rules = rules(PLAYBOOK);
    let old = event(0, "{}");
    let standing = StandingState::default();
    let evaluation = rules.evaluate(old.body()).unwrap();
    let decide_at = |now, terms: &Terms| decide(&rules, &old, &evaluation, &standing, now, terms);
    let verdict = decide_at(at(61), &Terms::default());
    assert_eq!(verdict.decision.kind, DecisionKind::Stale);
    assert!(matches!(
        verdict.effect,
        Effect::Escalate {
            reason: EscalationReason::Stale,
            ..
        }
    ));
    assert_eq!(
        decide_at(at(60), &Terms::default()).decision.kind,
        DecisionKind::PlaybookTriggered
    );
    let unlimited = Terms {
        max_age: TimeDelta::zero(),
        ..Terms::default()
    };
    assert_eq!(
        decide_at(at(9999), &unlimited).decision.kind,
        DecisionKind::PlaybookTriggered
    );
}

#[test]
fn dry_run_claims_the_cooldown_and_sends_nothing() {
    let yaml = PLAYBOOK.replace("id: a,", "id: a, mode: dry_run,");
    let verdict = decide_one(&yaml, "{}");
    assert_eq!(verdict.decision.kind, DecisionKind::DryRun);
    assert_eq!(
        verdict.decision.message,
        "Dry run: would have triggered playbook: fix"
    );
    assert!(matches!(
        verdict.effect,
        Effect::Playbook { dry_run: true, .. }
    ));
    let mut standing = StandingState::default();
    standing.apply(&verdict);
    let claim = verdict.claim.unwrap();
    assert_eq!(
        standing.cooling_until(&claim.rule_id, &claim.value),
        Some(at(10))
    );
    assert!(!standing.has_undelivered(&claim.rule_id, &claim.value));

    let server = Terms {
        dry_run: true,
        ..Terms::default()
    };
    let rules = rules(&PLAYBOOK.replace("trigger_playbook: { name: fix }", "escalate: { to: x }"));
    let verdict = decided(&rules, &event(0, "{}"), &StandingState::default(), &server);
    assert_eq!(verdict.decision.kind, DecisionKind::DryRun);
    assert_eq!(verdict.effect, Effect::None);
}

#[test]
fn shadows_are_recorded_beside_and_disabled_rules_take_no_part() {
    let yaml = "  - { id: s, event_type: '*', priority: 9, mode: shadow, action: ignore }\n  - { id: d, event_type: '*', priority: 8, mode: disabled, action: ignore }\n";
    let verdict = decide_one(&format!("{yaml}{LOG}"), "{}");
    assert_eq!(verdict.shadows, [RuleId::parse("s").unwrap()]);
    assert_eq!(verdict.decision.rule_id, Some(RuleId::parse("b").unwrap()));
    assert_eq!(decide_one(yaml, "{}").decision.kind, DecisionKind::NoAction);
}

#[test]
fn a_hole_in_the_params_calls_a_human_and_claims_nothing() {
    let yaml = PLAYBOOK.replace(
        "name: fix",
        "name: fix, params: { f: '{{ context.file }}' }",
    );
    let verdict = decide_one(&format!("{yaml}{LOG}"), "{}");
    assert_eq!(verdict.decision.kind, DecisionKind::Escalated);
    assert_eq!(
        verdict.decision.message,
        "Escalated to: default; the params of playbook fix cannot be filled in: the event has no `context.file`"
    );
    assert_eq!(verdict.claim, None);
    let filled = decide_one(&yaml, r#"{"file":"\u0061.gz"}"#);
    let Effect::Playbook { params, .. } = filled.effect else {
        unreachable!()
    };
    assert_eq!(params, r#"{"f":"\u0061.gz"}"#);
}

#[test]
fn severity_and_type_gate_a_rule() {
    let gate = |line: &str| decide_one(&format!("  - {{ id: g, {line}, action: ignore }}\n"), "{}");
    assert_eq!(
        gate("event_type: backup_failed, min_severity: high")
            .decision
            .kind,
        DecisionKind::Ignored
    );
    assert_eq!(
        gate("event_type: backup_failed, min_severity: critical")
            .decision
            .kind,
        DecisionKind::NoAction
    );
    assert_eq!(
        gate("event_type: [security_threat, backup_failed]")
            .decision
            .kind,
        DecisionKind::Ignored
    );
    assert_eq!(
        gate("event_type: security_threat").decision.kind,
        DecisionKind::NoAction
    );
}

#[test]
fn an_explanation_tells_every_test_and_why_each_rule_did_not_act() {
    let yaml = "  - { id: winner, event_type: '*', priority: 9, conditions: [ { any: [ { field: context.n, op: gt, value: 3 }, { not: { field: context.x, op: exists } } ] } ], action: ignore }\n  - { id: later, event_type: '*', action: ignore }\n  - { id: other, event_type: security_threat, action: ignore }\n  - { id: fails, event_type: '*', conditions: [ { field: context.n, op: eq, value: 5 } ], action: ignore }\n";
    let rules = rules(yaml);
    let event = event(0, r#"{"n":4.0}"#);
    let verdict = decided(&rules, &event, &StandingState::default(), &Terms::default());
    let explained = explain(&rules, &event, &verdict).unwrap();
    let text: Vec<String> = explained
        .iter()
        .map(|rule| {
            let conditions: Vec<String> = rule
                .conditions
                .iter()
                .map(|c| format!("{} [{}] {} {:?}", c.pointer, c.test, c.holds, c.found))
                .collect();
            format!(
                "{} {} {:?} {}",
                rule.rule_id,
                rule.matched,
                rule.skipped_because,
                conditions.join(" ")
            )
        })
        .collect();
    assert_eq!(
        text,
        [
            r#"winner true None /conditions/0/any/0 [context.n gt 3] true Some("4.0") /conditions/0/any/1/not [context.x exists] false None"#,
            r#"later true Some("rule `winner` comes first") "#,
            r#"other false Some("it does not look at events of type `backup_failed`") "#,
            r#"fails false Some("its conditions do not hold") /conditions/0 [context.n eq 5] false Some("4.0")"#,
        ]
    );
}
