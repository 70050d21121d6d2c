//! Evaluating allocates nothing where nothing matches.
#![allow(clippy::unwrap_used, reason = "tests")]

use guard_policy::{RuleFile, RuleSet, Scratch, SourceFormat};

/// Rules of every kind but `regex` and `wildcard`, enough of each that they are looked up by gates and columns, and few
/// enough events match.
fn rules() -> RuleSet {
    let conditions = |i: usize| {
        [
            format!(
                r#"{{"field":"context.user","op":"eq","value":"USER-{i}","ignore_case":true}}"#
            ),
            format!(r#"{{"field":"context.user","op":"prefix","value":"admin-{i}"}}"#),
            format!(r#"{{"field":"context.user","op":"suffix","value":"-{i}-root"}}"#),
            format!(r#"{{"field":"context.note","op":"contains","value":"word {i}"}}"#),
            format!(r#"{{"field":"context.tags","op":"contains","value":"tag {i}"}}"#),
            format!(r#"{{"field":"context.tags","op":"in","value":["x{i}"],"quantifier":"all"}}"#),
            format!(
                r#"{{"field":"context.count","op":"gt","value":1{i}234567890123456789012345678901}}"#
            ),
            format!(r#"{{"field":"context.ip","op":"cidr","value":"192.168.{i}.0/24"}}"#),
            r#"{"field":"context.count","op":"lt","value_of":"context.user"}"#.to_owned(),
            format!(r#"{{"not":{{"field":"context.count","op":"lt","value":9{i}e99}}}}"#),
        ]
    };
    let all = (0..40).flat_map(|i| {
        conditions(i)
            .into_iter()
            .enumerate()
            .map(move |(k, c)| (i, k, c))
    });
    let rules: Vec<_> = all
        .map(|(i, k, condition)| {
            format!(r#"{{"id":"r-{i}-{k}","event_type":"t","min_severity":"low","action":"ignore","conditions":[{condition}]}}"#)
        })
        .collect();
    let text = format!(r#"{{"rules":[{}]}}"#, rules.join(","));
    let file = RuleFile::parse("rules", &text, SourceFormat::Json).unwrap();
    file.compile().unwrap()
}

const EVENTS: [&str; 4] = [
    r#"{"event_type":"t","severity":"high","context":{"user":"alice","count":12,"ip":"10.0.0.1","note":"plain","tags":["a","b",5]}}"#,
    r#"{"event_type":"t","severity":"unknown","context":{"user":"\u00c4RGER \"","count":123456789012345678901234567890.5,"ip":"::ffff:10.0.0.1","tags":[]}}"#,
    r#"{"event_type":"u","severity":"low","context":{"us\u0065r":["a"],"count":1e99999999999,"note":"\ud83d\ude00","tags":["\u0061"],"more":{"deep":[[{}]]}}}"#,
    r#"{"context":5}"#,
];

#[test]
fn nothing_is_allocated_where_nothing_matches() {
    let rules = rules();
    let mut scratch = Scratch::default();
    for event in EVENTS {
        assert_eq!(
            rules
                .matches(event.as_bytes(), &mut scratch)
                .unwrap()
                .count(),
            0,
            "{event}"
        );
    }
    let info = allocation_counter::measure(|| {
        for event in EVENTS {
            assert_eq!(
                rules
                    .matches(event.as_bytes(), &mut scratch)
                    .unwrap()
                    .count(),
                0
            );
            assert!(
                rules
                    .first_match(event.as_bytes(), &mut scratch)
                    .unwrap()
                    .is_none()
            );
        }
    });
    assert_eq!(info.count_total, 0, "{info:?}");
}

#[test]
fn malformed_events_allocate_nothing_either() {
    let rules = rules();
    let mut scratch = Scratch::default();
    let info = allocation_counter::measure(|| {
        for event in ["{", "[]", r#"{"a":"\ud800"}"#, "\u{1}"] {
            assert!(rules.matches(event.as_bytes(), &mut scratch).is_err());
        }
    });
    // The first event makes room.
    assert!(info.count_total <= 4, "{info:?}");
}
