//! What the analysis finds, and what it must not say.
#![allow(clippy::unwrap_used, reason = "tests")]

use guard_domain::{EventType, FieldPath};
use guard_policy::{FieldCatalogue, RuleFile, SourceFormat, analyse};

/// The findings about rules, as `rule kind level pointer`.
fn findings(rules: &str, fields: &FieldCatalogue) -> Vec<String> {
    let file = RuleFile::parse("rules.yaml", rules, SourceFormat::Yaml).unwrap();
    let rules = file.compile().unwrap();
    let text = |finding: &guard_policy::Finding| {
        let level = finding.level.as_str();
        let kind = finding.kind.as_str();
        let line = format!("{} {kind} {level} {}", finding.rule_id, finding.pointer);
        line.trim_end().to_owned()
    };
    analyse(&rules, fields).iter().map(text).collect()
}

/// One rule for `backup_failed` with these lines.
#[track_caller]
fn check(lines: &str, expected: &[&str]) {
    let rule = format!("rules: [{{ id: r, event_type: backup_failed, action: ignore, {lines} }}]");
    assert_eq!(
        findings(&rule, &FieldCatalogue::default()),
        expected,
        "{lines}"
    );
}

#[track_caller]
fn conditions(conditions: &str, expected: &[&str]) {
    check(&format!("conditions: [{conditions}]"), expected);
}

const NEVER: &str = "r never_true error";

#[test]
fn what_never_holds_is_an_error() {
    for never in [
        "{ any: [] }",
        "{ not: { all: [] } }",
        "{ field: context.x, op: in, value: [] }",
        "{ field: context.x, op: eq, value: 1 }, { field: context.x, op: ne, value: 1.0 }",
        "{ field: context.x, op: eq, value: 7 }, { not: { field: context.x, op: gt, value: 5 } }",
        "{ field: context.x, op: prefix, value: abc }, { field: context.x, op: not_prefix, value: ab }",
        "{ field: context.x, op: not_exists }, { field: context.x, op: gt, value: 1 }",
        "{ field: context.x, op: exists }, { field: context.x, op: not_exists }",
        "{ field: context.x, op: gt, value: 5, quantifier: all }, { field: context.x, op: lt, value: 5, quantifier: all }",
        "{ field: event_type, op: eq, value: security_threat }",
        "{ field: source, op: eq, value: a }, { field: source, op: eq, value: b }",
        "{ field: source, op: not_exists }",
        "{ field: context.x, op: eq, value: 1 }, { any: [ { field: context.x, op: ne, value: 1 }, { any: [] } ] }",
        "{ field: context.x, op: cidr, value: 10.1.0.0/16 }, { field: context.x, op: not_cidr, value: 10.0.0.0/8 }",
    ] {
        conditions(never, &[NEVER]);
    }
    check(
        "min_severity: high, conditions: [{ field: severity, op: eq, value: low }]",
        &[NEVER],
    );
}

#[test]
fn what_holds_of_some_event_is_no_error() {
    for fine in [
        "",
        "{ field: context.x, op: eq, value: 1 }, { field: context.y, op: ne, value: 1 }",
        "{ field: context.x, op: ne, value: 1 }, { field: context.x, op: ne, value: 2 }",
        "{ field: context.x, op: not_exists }, { field: context.x, op: ne, value: 1 }",
        "{ field: context.x, op: contains, value: a }, { field: context.x, op: contains, value: b }",
        "{ field: context.x, op: gt, value: 5 }, { field: context.x, op: gte, value: 6 }",
        "{ field: context.x, op: gte, value: 5 }, { field: context.x, op: lte, value: 5 }",
        "{ field: context.x, op: eq, value: a, ignore_case: true }, { field: context.x, op: eq, value: A }",
        "{ field: context.x, op: prefix, value: ab }, { field: context.x, op: prefix, value: a }",
        "{ field: severity, op: in, value: [low, high] }",
        "{ any: [ { field: context.x, op: eq, value: 1 }, { field: context.x, op: eq, value: 2 } ] }",
        "{ not: { all: [ { field: context.x, op: eq, value: 1 }, { field: context.x, op: ne, value: 2 } ] } }",
    ] {
        conditions(fine, &[]);
    }
}

#[test]
fn what_holds_only_of_arrays_is_a_warning() {
    let warning = "r contradiction warning /conditions/1";
    for suspicious in [
        "{ field: context.x, op: eq, value: 1 }, { field: context.x, op: eq, value: 2 }",
        "{ field: context.x, op: gt, value: 5 }, { field: context.x, op: lt, value: 5 }",
        "{ field: context.x, op: gt, value: 5 }, { field: context.x, op: prefix, value: a }",
        "{ field: context.x, op: prefix, value: a }, { field: context.x, op: prefix, value: b }",
        "{ field: context.x, op: gt, value: 5, quantifier: all }, { field: context.x, op: eq, value: 3 }",
        "{ field: context.x, op: regex, value: '^a' }, { field: context.x, op: eq, value: b }",
    ] {
        conditions(suspicious, &[warning]);
    }
}

#[test]
fn what_always_holds_is_a_warning() {
    for (always, pointer) in [
        (
            "{ field: context.x, op: not_in, value: [] }",
            "/conditions/0",
        ),
        ("{ field: source, op: exists }", "/conditions/0"),
        (
            "{ any: [ { field: context.x, op: eq, value: 1 }, { field: context.x, op: ne, value: 1 } ] }",
            "/conditions/0",
        ),
        (
            "{ any: [ { field: context.x, op: lt, value: 9 }, { not: { field: context.x, op: lt, value: 5 } } ] }",
            "/conditions/0",
        ),
    ] {
        conditions(always, &[&format!("r always_true warning {pointer}")]);
    }
    conditions(
        "{ any: [ { field: context.x, op: lt, value: 5 }, { field: context.x, op: gte, value: 5 } ] }",
        &[],
    );
}

#[track_caller]
fn shadowing(first: &str, second: &str, expected: &[&str]) {
    let rules = format!(
        "rules:\n  - {{ id: first, priority: 5, {first} }}\n  - {{ id: second, {second} }}\n"
    );
    assert_eq!(
        findings(&rules, &FieldCatalogue::default()),
        expected,
        "{rules}"
    );
}

#[test]
fn rules_without_a_turn_are_found() {
    let error = ["second shadowed error"];
    let warning = ["second shadowed warning"];
    let any = "event_type: '*', action: ignore";
    let narrow = "event_type: backup_failed, min_severity: high, action: ignore, conditions: [ { field: context.n, op: gt, value: 10 }, { field: context.s, op: eq, value: abc } ]";
    shadowing(any, narrow, &error);
    for condition in [
        "{ field: context.n, op: gte, value: 5 }",
        "{ field: context.s, op: prefix, value: ab }",
        "{ field: context.s, op: in, value: [abc, x] }",
        "{ field: context.n, op: exists }",
        "{ any: [ { field: context.z, op: eq, value: 1 }, { field: context.s, op: suffix, value: c } ] }",
    ] {
        let first = format!(
            "event_type: [backup_failed, x], min_severity: low, action: {{ log: {{ level: info }} }}, conditions: [{condition}]"
        );
        shadowing(&first, narrow, &error);
    }
    shadowing(
        "event_type: '*', cooldown_minutes: 5, action: ignore",
        narrow,
        &warning,
    );
    shadowing(
        "event_type: '*', action: { trigger_playbook: { name: p } }",
        narrow,
        &warning,
    );
}

#[test]
fn rules_with_a_turn_are_left_alone() {
    let narrow = "event_type: backup_failed, min_severity: medium, action: ignore, conditions: [ { field: context.n, op: gt, value: 10 } ]";
    for first in [
        "event_type: security_threat, action: ignore",
        "event_type: backup_failed, min_severity: high, action: ignore",
        "event_type: '*', action: ignore, conditions: [ { field: context.n, op: gt, value: 11 } ]",
        "event_type: '*', action: ignore, conditions: [ { field: context.n, op: gt, value: 5, quantifier: all } ]",
        "event_type: '*', action: ignore, conditions: [ { field: context.m, op: gt, value: 5 } ]",
        "event_type: '*', action: ignore, conditions: [ { field: context.n, op: ne, value: 5 } ]",
        "event_type: '*', mode: shadow, action: ignore",
        "event_type: '*', mode: disabled, action: ignore",
        "event_type: '*', action: ignore, window: { count: 2, within: 1m, by: [] }",
    ] {
        shadowing(first, narrow, &[]);
    }
    shadowing(
        "event_type: '*', action: ignore",
        &format!("mode: shadow, {narrow}"),
        &[],
    );
}

#[test]
fn unknown_fields_are_found_where_the_catalogue_knows_the_types() {
    let path = |text| FieldPath::parse(text).unwrap();
    let mut catalogue = FieldCatalogue::default();
    let known = vec![path("context.host.name"), path("context.labels")];
    catalogue.insert(EventType::parse("backup_failed").unwrap(), known);
    let rule = |types: &str, field: &str| {
        format!(
            "rules: [{{ id: r, event_type: {types}, action: ignore, cooldown_by: ['{field}'], conditions: [{{ field: '{field}', op: exists }}] }}]"
        )
    };
    let found = |types: &str, field: &str| findings(&rule(types, field), &catalogue);
    let both = [
        "r unknown_field warning /conditions/0",
        "r unknown_field warning /cooldown_by/0",
    ];
    assert_eq!(found("backup_failed", "context.host.nane"), both);
    for (types, field) in [
        ("backup_failed", "context.host.name"),
        ("backup_failed", "context.host"),
        ("backup_failed", "context.labels.any[3]"),
        ("backup_failed", "id"),
        ("other", "context.host.nane"),
        ("'*'", "context.host.nane"),
        ("[backup_failed, other]", "context.host.nane"),
    ] {
        assert_eq!(found(types, field), [""; 0], "{types} {field}");
    }
}

#[test]
fn costly_patterns_are_found() {
    conditions(
        "{ field: context.x, op: regex, value: '^[a-z]{1,20}$' }",
        &[],
    );
    conditions(
        r"{ field: context.x, op: regex, value: '\w{5}' }",
        &["r costly_pattern warning /conditions/0"],
    );
}
