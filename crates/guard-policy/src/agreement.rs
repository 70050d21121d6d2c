//! The engine against the plain evaluation, on random rules and events.
//!
//! `GUARD_POLICY_CASES` sets how many events are evaluated, `GUARD_POLICY_SEED` with which random numbers.

mod events;
mod rules;
mod source;

use std::collections::BTreeMap;

use guard_domain::{Condition, Operand, Operator, Quantifier, Severity, Test};

use crate::condition::Compiled;
use crate::document::Document;
use crate::engine::Costs;
use crate::{
    FieldCatalogue, FindingKind, FindingLevel, RuleFile, RuleSet, Scratch, SourceFormat, analyse,
};
use source::Source;

/// How many events each rule set meets.
const EVENTS_PER_SET: u64 = 40;
/// How often each operator must hold, and how often it must not.
const LEAST: u64 = 1000;
/// The same with each `quantifier`, `ignore_case` and `value_of`.
const LEAST_OF_KIND: u64 = 10;

/// The engine is made in turn as it is otherwise, of all columns that there can be, and of all gates.
const PLANS: [Costs; 3] = [
    Costs::MEASURED,
    Costs {
        gate: f64::INFINITY,
        column: 0.0,
        word: 0.0,
    },
    Costs {
        gate: 0.0,
        column: f64::INFINITY,
        word: 0.0,
    },
];

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

fn compile(text: &str) -> RuleSet {
    let file = RuleFile::parse("random", text, SourceFormat::Json);
    let file = file.unwrap_or_else(|error| panic!("{error}\n{text}"));
    file.compile().unwrap()
}

/// How often each kind of test held, and how often it did not.
type Counts = BTreeMap<String, [u64; 2]>;

fn count(condition: &Condition, compiled: &Compiled, event: &Document<'_>, counts: &mut Counts) {
    match (condition, compiled) {
        (Condition::All(list), Compiled::All(compiled))
        | (Condition::Any(list), Compiled::Any(compiled)) => {
            for (condition, compiled) in list.iter().zip(compiled) {
                count(condition, compiled, event, counts);
            }
        }
        (Condition::Not(inner), Compiled::Not(compiled)) => count(inner, compiled, event, counts),
        (Condition::Test(test), compiled) => {
            let held = counts.entry(kind(test)).or_default();
            held[usize::from(compiled.holds(event))] += 1;
        }
        _ => unreachable!("they have the same shape"),
    }
}

/// The kind of a test: all that changes how it is looked up.
fn kind(test: &Test) -> String {
    let mut kind = test.operator.spelling(test.negated);
    if test.quantifier == Quantifier::All {
        kind += " all";
    }
    if test.ignore_case {
        kind += " ignore_case";
    }
    if matches!(test.operand, Operand::ValueOf(_)) {
        kind += " value_of";
    }
    kind
}

/// Both find the same rules, or both refuse the event.
#[track_caller]
fn check(rules: &RuleSet, event: &[u8], scratch: &mut Scratch, seed: u64) -> bool {
    let shown = || format!("seed {seed}, event {}", String::from_utf8_lossy(event));
    let expected = match rules.matches_plainly(event) {
        Ok(expected) => expected,
        Err(error) => {
            let found = rules.matches(event, scratch);
            let found = found.map(|matches| matches.count());
            assert!(found.is_err(), "{error}, but {found:?} match: {}", shown());
            assert!(rules.first_match(event, scratch).is_err());
            return false;
        }
    };
    let found = rules.matches(event, scratch);
    let found: Vec<_> = found
        .unwrap_or_else(|error| panic!("{error}: {}", shown()))
        .collect();
    for (rule, _) in rules.rules() {
        assert_eq!(
            found.contains(&rule),
            expected.contains(&rule),
            "{}, {rule:#?}",
            shown()
        );
    }
    assert_eq!(found, expected, "the order: {}", shown());
    let acts = |rule: &&&guard_domain::Rule| rule.mode != guard_domain::RuleMode::Shadow;
    let first = expected.iter().find(acts).copied();
    assert_eq!(
        rules.first_match(event, scratch).unwrap(),
        first,
        "{}",
        shown()
    );
    true
}

#[test]
fn the_engine_agrees_with_the_plain_evaluation() {
    let cases = setting("GUARD_POLICY_CASES", 60_000);
    let first = setting("GUARD_POLICY_SEED", 1);
    let mut scratch = Scratch::default();
    let mut counts = Counts::new();
    let (mut matched, mut refused) = (0, 0);
    for seed in first..first + cases / EVENTS_PER_SET {
        let mut source = Source::new(seed);
        let mut rules = compile(&rules::rule_file(&mut source));
        rules.plan(PLANS[usize::try_from(seed % 3).unwrap_or(0)]);
        for _ in 0..EVENTS_PER_SET {
            let event = events::event(&mut source);
            if !check(&rules, &event, &mut scratch, seed) {
                refused += 1;
                continue;
            }
            let document = crate::document::parse_bytes(&event).unwrap();
            for (_, compiled) in rules.compiled() {
                matched += u64::from(compiled.matches(&document));
                let Compiled::All(list) = &compiled.condition else {
                    unreachable!()
                };
                for (condition, compiled) in compiled.rule.conditions.iter().zip(list) {
                    count(condition, compiled, &document, &mut counts);
                }
            }
        }
    }
    println!("{cases} events, {refused} refused, {matched} matches");
    let mut operators = Counts::new();
    for (kind, [not, held]) in &counts {
        println!("{kind}: held {held}, did not {not}");
        assert!(
            *not >= LEAST_OF_KIND && *held >= LEAST_OF_KIND,
            "{kind}: {held} {not}"
        );
        let operator = kind.split(' ').next().unwrap_or_default();
        let sums = operators.entry(operator.to_owned()).or_default();
        sums[0] += not;
        sums[1] += held;
    }
    assert_eq!(operators.len(), Operator::spellings().len());
    for (operator, [not, held]) in &operators {
        assert!(*not >= LEAST && *held >= LEAST, "{operator}: {held} {not}");
    }
    assert!(
        matched > cases && refused > cases / 50,
        "{matched} {refused}"
    );
}

/// Whether the guard would accept the event: the analysis speaks of no others.
fn is_accepted(event: &Document<'_>) -> bool {
    let text = |field: &str| event.member(field).and_then(Document::text);
    let severity = text("severity").is_some_and(|word| Severity::parse(word).is_ok());
    let is_text = |field: &str| text(field).is_some();
    severity && is_text("event_type") && is_text("source") && event.member("context").is_some()
}

#[test]
fn the_analysis_says_nothing_that_is_not_so() {
    let cases = setting("GUARD_POLICY_CASES", 20_000);
    let first = setting("GUARD_POLICY_SEED", 1);
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    let mut scratch = Scratch::default();
    for seed in first..first + cases / EVENTS_PER_SET {
        let mut source = Source::new(seed);
        let rules = compile(&rules::rule_file(&mut source));
        let findings = analyse(&rules, &FieldCatalogue::default());
        let errors = findings
            .iter()
            .filter(|found| found.level == FindingLevel::Error);
        let errors: Vec<_> = errors.collect();
        for error in &errors {
            *found.entry(error.kind.as_str()).or_default() += 1;
        }
        for _ in 0..EVENTS_PER_SET {
            let event = events::event(&mut source);
            match crate::document::parse_bytes(&event) {
                Ok(document) if is_accepted(&document) => {}
                _ => continue,
            }
            let matches: Vec<_> = rules.matches(&event, &mut scratch).unwrap().collect();
            let decides = rules.first_match(&event, &mut scratch).unwrap();
            for error in &errors {
                let shown = || format!("seed {seed}: {error}; {}", String::from_utf8_lossy(&event));
                let is_it = |rule: &&guard_domain::Rule| rule.id == error.rule_id;
                match error.kind {
                    FindingKind::NeverTrue => assert!(!matches.iter().any(is_it), "{}", shown()),
                    _ => assert!(!decides.is_some_and(|rule| is_it(&rule)), "{}", shown()),
                }
            }
        }
    }
    println!("{found:?}");
    assert!(
        found["never_true"] > 100 && found["shadowed"] > 100,
        "{found:?}"
    );
}

#[test]
fn each_of_several_tests_that_must_not_hold_is_asked_of_all_elements() {
    let test = |value: &str| {
        format!(r#"{{"field":"context.tags","op":"ne","value":"{value}","quantifier":"all"}}"#)
    };
    let rule = |id: usize| {
        let tests = [test("a"), test("b")].join(",");
        format!(r#"{{"id":"r-{id}","event_type":"*","action":"ignore","conditions":[{tests}]}}"#)
    };
    let rules: Vec<_> = (0..20).map(rule).collect();
    let mut rules = compile(&format!(r#"{{"rules":[{}]}}"#, rules.join(",")));
    let mut scratch = Scratch::default();
    for plan in PLANS {
        rules.plan(plan);
        for (tags, holds) in [
            (r#"["a","b"]"#, true),
            (r#"["b","b"]"#, false),
            ("[]", true),
        ] {
            let event = format!(r#"{{"context":{{"tags":{tags}}}}}"#);
            let found = rules.matches(event.as_bytes(), &mut scratch).unwrap();
            assert_eq!(found.count(), if holds { 20 } else { 0 }, "{tags}");
        }
    }
}
