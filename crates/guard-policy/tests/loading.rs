//! Reading rule files: what is accepted, and what errors say.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use guard_policy::{Feature, RuleFile, SourceFormat};

const MINIMAL: &str = "rules:\n  - id: r\n    event_type: backup_failed\n    action: ignore\n";

fn yaml(text: &str) -> Result<RuleFile, Vec<String>> {
    RuleFile::parse("rules.yaml", text, SourceFormat::Yaml)
        .map_err(|error| error.diagnostics.iter().map(ToString::to_string).collect())
}

/// One rule with some lines added, indented as a key of the rule.
fn rule_with(lines: &str) -> String {
    let indented: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("{MINIMAL}{indented}")
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    match yaml(text) {
        Ok(file) => panic!("accepted: {file:?}"),
        Err(errors) => assert!(
            errors.iter().any(|error| error.contains(expected)),
            "`{expected}` is not in {errors:#?}"
        ),
    }
}

#[test]
fn the_rule_of_the_documentation_is_read_whole() {
    let text = include_str!("data/every_key.yaml");
    let file = yaml(text).unwrap();
    let [parsed] = file.rules.as_slice() else {
        panic!("{file:?}")
    };
    assert_eq!(parsed.rule.id.as_str(), "intrusion-lockdown");
    assert_eq!(parsed.rule.priority, 100);
    assert_eq!(parsed.rule.conditions.len(), 3);
    assert_eq!(parsed.rule.cooldown_by[0].to_string(), "context.host.name");
    assert_eq!(
        parsed.features(),
        [Feature::Grace, Feature::Approval, Feature::Budget]
    );
    assert_eq!(parsed.place_of("window").line, 17);
    assert_eq!(file.tests.len(), 1);
}

#[test]
fn the_definition_is_the_same_for_yaml_and_json() {
    let json = r#"{ "rules": [ {"id": "r", "event_type": "backup_failed",
        "action": {"log": {"level": "warn"}},
        "conditions": [{"field": "context.x", "op": "eq", "value": 1.50}]} ] }"#;
    let from_json = RuleFile::parse("rules.json", json, SourceFormat::Json).unwrap();
    let text = "rules:\n- id: r # comment\n  event_type: 'backup_failed'\n  action:\n    log: { level: warn }\n  conditions: [ { field: context.x, op: eq, value: 1.50 } ]\n";
    let from_yaml = yaml(text).unwrap();
    assert_eq!(from_json.rules[0].definition, from_yaml.rules[0].definition);
    assert_eq!(from_json.rules[0].rule, from_yaml.rules[0].rule);
    let again = RuleFile::parse_definitions([from_yaml.rules[0].definition.as_str()]).unwrap();
    assert_eq!(again[0], from_yaml.rules[0].rule);
    let whole = yaml(include_str!("data/every_key.yaml")).unwrap();
    let again = RuleFile::parse_definitions([whole.rules[0].definition.as_str()]).unwrap();
    assert_eq!(again[0], whole.rules[0].rule);
    let texts = yaml(&rule_with("description: true\ncontrols: [1.50, no]")).unwrap();
    let again = RuleFile::parse_definitions([texts.rules[0].definition.as_str()]).unwrap();
    assert_eq!(again[0], texts.rules[0].rule);
}

#[test]
fn errors_name_file_line_column_rule_and_the_nearest_key() {
    let error =
        "rules.yaml:5:5: rule `r`: unknown key `cooldwn_minutes`; did you mean `cooldown_minutes`?";
    refused(&rule_with("cooldwn_minutes: 5"), error);
    refused(
        &rule_with("conditions: [{ field: contxt.x, op: eq, value: 1 }]"),
        "5:27: rule `r`: an event has no field `contxt`",
    );
    refused(
        &rule_with("conditions: [{ field: context.x, op: greater, value: 1 }]"),
        "unknown operator `greater`",
    );
    refused(
        &rule_with("conditions: [{ field: context.x, op: perfix, value: a }]"),
        "did you mean `prefix`?",
    );
    refused(&rule_with("mode: shadw"), "did you mean `shadow`?");
    refused(&rule_with("min_severity: hihg"), "did you mean `high`?");
    refused(
        "rules: [{}]\nrulez: 1",
        "unknown key `rulez`; did you mean `rules`?",
    );
}

#[test]
fn all_errors_come_at_once() {
    let text = "rules:\n  - id: A B\n    event_type: x-y\n  - id: b\n    action: [ignore]\n    priority: high\n";
    let errors = yaml(text).unwrap_err();
    let expected = ["2:9", "3:17", "2:5", "5:13", "4:5", "6:15"];
    for place in expected {
        assert!(
            errors
                .iter()
                .any(|error| error.starts_with(&format!("rules.yaml:{place}:"))),
            "{place} {errors:#?}"
        );
    }
}

#[test]
fn wrong_conditions_are_refused() {
    let condition =
        |text: &str| rule_with(&format!("conditions: [{{ field: context.x, {text} }}]"));
    for (text, expected) in [
        ("op: gt, value: high", "`gt` takes a number, not \"high\""),
        (
            "op: eq, value: [1]",
            "`eq` takes a string, a number, a boolean or null, not [1]",
        ),
        ("op: in, value: 1", "`in` takes a list"),
        ("op: between, value: [2, 1]", "2 is more than 1"),
        (
            "op: between, value: [1]",
            "`between` takes a list of two numbers",
        ),
        ("op: cidr, value: 10.0.0.1/8", "did you mean `10.0.0.0/8`?"),
        ("op: cidr, value: 10.0.0/8", "is not a network"),
        (
            "op: regex, value: '('",
            "is not a pattern: error: unclosed group",
        ),
        ("op: regex, value: '(a{1000}){1000}'", "too costly"),
        ("op: exists, value: 1", "takes no `value`"),
        ("op: exists, quantifier: all", "no `quantifier`"),
        ("op: ne, value: ", "`value` is left empty"),
        ("op: cidr, value: 010.0.0.0/8", "is not a network"),
        ("op: cidr, value: 10.0.0.0/08", "is not a network"),
        ("op: eq, value: TRUE", "lower case"),
        ("op: eq", "`eq` needs `value`"),
        ("op: eq, value: 1, value_of: context.y", "not both"),
        ("op: cidr, value_of: context.y", "`value_of` goes with"),
        (
            "op: gt, value: 1, ignore_case: true",
            "`ignore_case` goes with",
        ),
        ("op: eq, value: 007", "could be a number or a string"),
        (
            "op: eq, value: 1, quantifier: some",
            "unknown quantifier `some`",
        ),
    ] {
        refused(&condition(text), expected);
    }
    refused(
        &rule_with("conditions: [{ any: [], field: context.x }]"),
        "`any` stands alone",
    );
    let deep = format!("conditions: [{}1{}]", "{not: ".repeat(30), "}".repeat(30));
    refused(&rule_with(&deep), "nest at most 16");
}

#[test]
fn wrong_actions_are_refused() {
    let action = |text: &str| {
        format!("rules:\n  - id: r\n    event_type: backup_failed\n    action: {text}\n")
    };
    for (text, expected) in [
        (
            "{}",
            "one action of trigger_playbook, escalate, log, ignore",
        ),
        ("{ log: { level: info }, ignore: {} }", "not 2"),
        ("{ trigger_playbook: { name: ../x } }", "is not a slug"),
        ("{ trigger_playbook: {} }", "key `name` is required"),
        (
            "{ trigger_playbook: { name: x, params: { neural_guard: 1 } } }",
            "reserved",
        ),
        (
            "{ trigger_playbook: { name: x, params: [1] } }",
            "`params` is a map",
        ),
        (
            "{ trigger_playbook: { name: x, params: { a: '{{ context.b' } } }",
            "not closed",
        ),
        (
            "{ escalate: { to: x, message: '{{ user }}' } }",
            "an event has no field `user`",
        ),
        ("{ ignore: { to: x } }", "`ignore` takes nothing"),
        ("{ log: { level: loud } }", "unknown log level `loud`"),
        ("{ trigger: { name: x } }", "unknown key `trigger`"),
    ] {
        refused(&action(text), expected);
    }
}

#[test]
fn ids_are_unique_across_files() {
    let error = RuleFile::parse_all([
        ("a.yaml", MINIMAL, SourceFormat::Yaml),
        ("b.yaml", MINIMAL, SourceFormat::Yaml),
    ])
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "b.yaml:2:5: rule `r`: the id is taken by the rule at a.yaml:2:5"
    );
}

#[test]
fn what_is_not_yaml_or_json_says_where() {
    refused("rules: [", "this is not YAML");
    refused("", "the file is empty");
    refused("- a", "a rule file is a map, not a list");
    refused("rules: 5", "`rules` is a list, not a single value");
    refused("rules: &a []", "anchors and tags");
    refused("rules: []\n---\nrules: []", "one document");
    refused("rules: []\nrules: []", "2:1: key `rules` is given twice");
    let error = RuleFile::parse("r.json", "{\n \"rules\": [,]}", SourceFormat::Json).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("r.json:2:12: this is not JSON"),
        "{error}"
    );
    let deep = format!("rules: {}{}", "[".repeat(5000), "]".repeat(5000));
    refused(&deep, "recursion limit");
}

#[test]
fn places_in_json_are_those_of_the_keys() {
    let text = "{\"rules\": [\n {\"id\": \"é\",\n  \"cooldwn_minutes\":\n 5}]}";
    let error = RuleFile::parse("r.json", text, SourceFormat::Json)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("r.json:3:3: rule `é`: unknown key `cooldwn_minutes`"),
        "{error}"
    );
    assert!(
        error.contains("r.json:2:9: rule `é`: `é` is not a slug"),
        "{error}"
    );
}

#[test]
fn large_files_are_read_in_linear_time() {
    // Quadratic reading would take minutes.
    let rule = |i| {
        format!(
            r#"{{"id":"r-{i}","event_type":"backup_failed","action":"ignore","conditions":[{{"field":"context.x","op":"eq","value":{i}}}]}}"#
        )
    };
    let rules: Vec<_> = (0..10_000).map(rule).collect();
    let text = format!(r#"{{"rules":[{}]}}"#, rules.join(","));
    let file = RuleFile::parse("r.json", &text, SourceFormat::Json).unwrap();
    assert_eq!(file.rules.len(), 10_000);
}

#[test]
fn wrong_tests_are_refused() {
    for (test, expected) in [
        (
            "event: 1, expect: { rule: r }",
            "5:18: an event is a map, not a single value",
        ),
        ("event: {}, expect: {}", "`expect` names"),
        (
            "event: {}, expect: { decision: triggered }",
            "unknown decision `triggered`",
        ),
        ("expect: { rule: r }", "5:9: a test has `event` or `events`"),
        (
            "event: {}, events: [{}], expect: { rule: r }",
            "5:9: a test has `event` or `events`, not both",
        ),
        (
            "events: [], expect: { rule: r }",
            "5:19: `events` has at least one event",
        ),
        (
            "events: {}, expect: { rule: r }",
            "5:19: `events` is a list, not a map",
        ),
        (
            "events: [{}, x], expect: { rule: r }",
            "5:24: an event is a map, not a single value",
        ),
    ] {
        refused(&format!("{MINIMAL}tests: [{{ {test} }}]"), expected);
    }
}

#[test]
fn conditions_are_bounded() {
    let test = "{ field: context.a, op: eq, value: 1 }";
    let rule = |count: usize| {
        let grouped = format!("{{ any: [{}] }}", vec![test; count - 2].join(", "));
        rule_with(&format!("conditions: [{grouped}, {test}]"))
    };
    assert!(yaml(&rule(256)).is_ok());
    refused(&rule(257), "a rule has at most 256 conditions");
    let errors = yaml(&rule(5000)).unwrap_err();
    assert_eq!(errors.len(), 1, "said once");
}

#[test]
fn windows_are_bounded() {
    let window = |text: &str| rule_with(&format!("window: {{ {text} }}"));
    for (text, expected) in [
        (
            "count: 1, within: 10m",
            "5:22: rule `r`: `count` is a whole number of at least 2",
        ),
        (
            "count: 1001, within: 10m",
            "5:22: rule `r`: `count` is at most 1000",
        ),
        ("count: 3, within: 31days", "`within` is at most 30days"),
        ("count: 3, within: 30days 1ns", "`within` is at most 30days"),
        ("count: 3, within: 0s", "`within` is a length of time"),
        ("count: 3", "key `within` is required"),
        (
            "count: 3, within: 10m, by: [host]",
            "an event has no field `host`",
        ),
    ] {
        refused(&window(text), expected);
    }
    let file = yaml(&window("count: 1000, within: 30days")).unwrap();
    assert_eq!(file.rules[0].rule.window.as_ref().unwrap().count, 1000);
}
