//! What rules cannot do: `cargo run --example analyse -- RULES.yaml`.

use std::error::Error;

use guard_policy::{FieldCatalogue, RuleFile, RuleSet, SourceFormat, VersionedRule, analyse};

fn main() -> Result<(), Box<dyn Error>> {
    let rules = std::env::args().nth(1).ok_or("a rule file is expected")?;
    let format =
        SourceFormat::of_file_name(&rules).ok_or("a rule file ends with .yaml, .yml or .json")?;
    let file = RuleFile::parse(&rules, &std::fs::read_to_string(&rules)?, format)?;
    let versioned = file.rules.into_iter().map(|parsed| VersionedRule {
        rule: parsed.rule,
        version: 1,
    });
    let rules = RuleSet::compile(1, versioned.collect())?;
    for finding in analyse(&rules, &FieldCatalogue::default()) {
        println!("{}: {finding}", finding.level.as_str());
    }
    Ok(())
}
