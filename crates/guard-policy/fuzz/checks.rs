// What must hold of any bytes. The fuzz targets and a test over their corpus use it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each user needs a part; a panic is what is looked for"
)]

use std::cell::RefCell;

use guard_policy::{RuleFile, RuleSet, Scratch, SourceFormat};

/// Reads a rule file; the first byte tells its format.
pub(crate) fn rule_text(data: &[u8]) {
    let Some((format, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let format = if *format == b'{' {
        SourceFormat::Json
    } else {
        SourceFormat::Yaml
    };
    let file = match RuleFile::parse("rules", text, format) {
        Ok(file) => file,
        Err(error) => {
            assert!(!error.diagnostics.is_empty());
            // A carriage return alone ends a line in YAML.
            let lines = text.matches(['\n', '\r']).count() + 1;
            for diagnostic in error.diagnostics {
                let place = diagnostic.place;
                assert!(
                    place.line >= 1 && place.line <= lines && place.column >= 1,
                    "{diagnostic}"
                );
            }
            return;
        }
    };
    let definitions = file.rules.iter().map(|parsed| parsed.definition.as_str());
    let again = RuleFile::parse_definitions(definitions).expect("definitions read back");
    let rules = file.rules.iter().map(|parsed| &parsed.rule);
    assert!(rules.eq(&again));
    let set = file
        .compile()
        .expect("rules that were read can be compiled");
    let event = br#"{"event_type":"backup_failed","severity":"high","context":{"x":[1,"a"],"y":{"z":null}}}"#;
    assert_agreement(&set, event);
}

/// Evaluates an event by rules of every kind.
pub(crate) fn event_bytes(data: &[u8]) {
    thread_local! {
        static RULES: RuleSet = {
            let text = include_str!("rules.yaml");
            let file = RuleFile::parse("rules.yaml", text, SourceFormat::Yaml).expect("the rules are right");
            file.compile().expect("the rules are right")
        };
    }
    RULES.with(|rules| assert_agreement(rules, data));
}

fn assert_agreement(rules: &RuleSet, event: &[u8]) {
    thread_local! {
        static SCRATCH: RefCell<Scratch> = RefCell::default();
    }
    SCRATCH.with_borrow_mut(|scratch| {
        let plainly = rules.matches_plainly(event);
        match (rules.matches(event, scratch), plainly) {
            (Ok(found), Ok(expected)) => {
                assert_eq!(found.collect::<Vec<_>>(), expected);
            }
            (Err(error), Err(_)) => assert!(error.offset() <= event.len()),
            (found, expected) => panic!("{found:?} but {expected:?}"),
        }
    });
}
