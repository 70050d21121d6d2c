//! Which rules match which events: `cargo run --example match_events -- RULES.yaml EVENTS.ndjson`.

use std::error::Error;

use guard_policy::{RuleFile, Scratch, SourceFormat};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(rules), Some(events)) = (arguments.next(), arguments.next()) else {
        return Err(
            "two files are expected: rules (.yaml, .yml or .json) and events, one per line".into(),
        );
    };
    let format =
        SourceFormat::of_file_name(&rules).ok_or("a rule file ends with .yaml, .yml or .json")?;
    let file = RuleFile::parse(&rules, &std::fs::read_to_string(&rules)?, format)?;
    // Any number of threads can share the rules; each has a scratch of its own.
    let rules = file.compile()?;
    let mut scratch = Scratch::default();
    for (line, event) in (1..).zip(std::fs::read_to_string(&events)?.lines()) {
        match rules.matches(event.as_bytes(), &mut scratch) {
            Ok(matches) => {
                let ids: Vec<_> = matches.map(|rule| rule.id.as_str()).collect();
                println!("{line}: {}", ids.join(" "));
            }
            Err(error) => println!("{line}: {error}"),
        }
    }
    Ok(())
}
