//! Random rules.

use super::source::{ADDRESSES, NUMBERS, Source, TEXTS};

/// Fields that events often have, some that they rarely have, and some within others.
const FIELDS: [&str; 16] = [
    "context.a",
    "context.a",
    "context.b",
    "context.b",
    "context.c",
    "context.n",
    "context.n",
    "context.ip",
    "context.ip",
    "context.tags",
    "context.tags",
    "context.o.a",
    "context.o.b",
    "context.o",
    "context.\"a.b\"",
    "context.tags[0]",
];
const RARE_FIELDS: [&str; 8] = [
    "severity",
    "event_type",
    "context.o.tags[1].a",
    "context.rare1",
    "context.rare2",
    "context.rare3.a",
    "source",
    "context",
];

const NETWORKS: [&str; 9] = [
    "10.0.0.0/8",
    "10.0.0.0/24",
    "10.1.0.0/16",
    "192.168.7.9",
    "0.0.0.0/0",
    "::/0",
    "2001:db8::/32",
    "2001:db8::/64",
    "::ffff:10.0.0.0/104",
];
const PATTERNS: [&str; 7] = ["^a", "b", "^$", "[0-9]+", "^web-[0-9]$", ".", "(?i)abc"];
const WILDCARDS: [&str; 7] = ["a*", "*c", "*b*", "?", "", "web-?", "*"];

const OPERATORS: [&str; 23] = [
    "eq",
    "ne",
    "in",
    "not_in",
    "gt",
    "gte",
    "lt",
    "lte",
    "between",
    "prefix",
    "not_prefix",
    "suffix",
    "not_suffix",
    "contains",
    "not_contains",
    "wildcard",
    "not_wildcard",
    "regex",
    "not_regex",
    "cidr",
    "not_cidr",
    "exists",
    "not_exists",
];

/// A rule file; some have few rules, so that they are checked one by one, some have many.
pub(super) fn rule_file(source: &mut Source) -> String {
    let most = source.one(&[3, 12, 40, 90]);
    let mut id = 0;
    let rules = source.list(1, most, |source| {
        id += 1;
        rule(id, source)
    });
    format!(r#"{{"rules":[{rules}]}}"#)
}

fn rule(id: usize, source: &mut Source) -> String {
    let event_type = source.one(&[
        r#""t1""#,
        r#""t1""#,
        r#""t1""#,
        r#""t2""#,
        r#"["t1","t2"]"#,
        r#"["t2","t3","t2"]"#,
        r#""*""#,
    ]);
    let mode = source.one(&[
        "active", "active", "active", "dry_run", "shadow", "disabled",
    ]);
    let severity = source.one(&[
        "",
        "",
        "",
        r#","min_severity":"low""#,
        r#","min_severity":"high""#,
    ]);
    let priority = source.below(3);
    let conditions = if source.percent(15) {
        similar_tests(source)
    } else {
        source.list(0, 3, |source| condition(2, source))
    };
    format!(
        r#"{{"id":"r-{id}","event_type":{event_type},"mode":"{mode}","priority":{priority}{severity},"action":"ignore","conditions":[{conditions}]}}"#
    )
}

fn condition(depth: usize, source: &mut Source) -> String {
    if depth == 0 || source.percent(75) {
        return test(source);
    }
    match source.below(3) {
        0 => format!(r#"{{"not":{}}}"#, condition(depth - 1, source)),
        kind => {
            let kind = ["all", "any"][kind - 1];
            let most = if source.percent(5) { 7 } else { 3 };
            let inner = source.list(0, most, |source| condition(depth - 1, source));
            format!(r#"{{"{kind}":[{inner}]}}"#)
        }
    }
}

fn test(source: &mut Source) -> String {
    let kind = Kind::any(source);
    kind.test(source)
}

/// Several tests of one kind on one field, as negations often come.
fn similar_tests(source: &mut Source) -> String {
    let kind = Kind::any(source);
    source.list(2, 3, |source| kind.test(source))
}

/// All of a test but its value.
struct Kind {
    op: &'static str,
    field: String,
    flags: String,
}

impl Kind {
    fn any(source: &mut Source) -> Self {
        let op = source.one(&OPERATORS);
        let plain = op.strip_prefix("not_").unwrap_or(op);
        let field = field(plain, source).replace('"', "\\\"");
        let mut flags = String::new();
        let takes_field = matches!(
            plain,
            "eq" | "ne" | "gt" | "gte" | "lt" | "lte" | "prefix" | "suffix" | "contains"
        );
        if takes_field && source.percent(25) {
            let other = source.one(&["context.a", "context.b", "context.n", "context.tags[0]"]);
            flags += &format!(r#","value_of":"{other}""#);
        }
        let takes_case = matches!(
            plain,
            "eq" | "ne" | "in" | "prefix" | "suffix" | "contains" | "wildcard" | "regex"
        );
        if takes_case && source.percent(30) {
            flags += r#","ignore_case":true"#;
        }
        if plain != "exists" && source.percent(30) {
            flags += r#","quantifier":"all""#;
        }
        Self { op, field, flags }
    }

    fn test(&self, source: &mut Source) -> String {
        let Self { op, field, flags } = self;
        let plain = op.strip_prefix("not_").unwrap_or(op);
        let value = match plain {
            "exists" => String::new(),
            _ if flags.contains("value_of") => String::new(),
            _ => format!(r#","value":{}"#, value(plain, source)),
        };
        format!(r#"{{"field":"{field}","op":"{op}"{value}{flags}}}"#)
    }
}

/// A field, often one whose values are of the operator's kind.
fn field(operator: &str, source: &mut Source) -> &'static str {
    if source.percent(15) {
        return source.one(&RARE_FIELDS);
    }
    match operator {
        "gt" | "gte" | "lt" | "lte" | "between" if source.percent(70) => {
            source.one(&["context.n", "context.tags"])
        }
        "cidr" if source.percent(70) => source.one(&["context.ip", "context.ips"]),
        "prefix" | "suffix" | "contains" | "wildcard" | "regex" if source.percent(70) => {
            source.one(&["context.a", "context.b", "context.tags"])
        }
        _ => source.one(&FIELDS),
    }
}

fn string(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn value(operator: &str, source: &mut Source) -> String {
    match operator {
        "contains" if source.percent(60) => string(source.one(&["a", "b", "web", "1", "", "ä"])),
        "eq" | "ne" | "contains" => scalar(source),
        "in" => format!("[{}]", source.list(0, 4, scalar)),
        "between" => {
            let ranges = [
                "[0,1]",
                "[-1.5,10]",
                "[1,1.0]",
                "[0.1,9007199254740992]",
                "[-1e400,1e400]",
                "[2,100]",
            ];
            source.one(&ranges).to_owned()
        }
        "prefix" | "suffix" if source.percent(40) => {
            string(source.one(&["a", "w", "1", "c", "ab"]))
        }
        "prefix" | "suffix" => string(source.one(&TEXTS)),
        "wildcard" => string(source.one(&WILDCARDS)),
        "regex" => string(source.one(&PATTERNS)),
        "cidr" => format!(
            "[{}]",
            source.list(0, 3, |source| string(source.one(&NETWORKS)))
        ),
        _ => source.one(&NUMBERS).to_owned(),
    }
}

fn scalar(source: &mut Source) -> String {
    match source.below(10) {
        0 => "null".to_owned(),
        1 => "true".to_owned(),
        2 => "false".to_owned(),
        3..=5 => source.one(&NUMBERS).to_owned(),
        6 => string(source.one(&ADDRESSES)),
        _ => string(source.one(&TEXTS)),
    }
}
