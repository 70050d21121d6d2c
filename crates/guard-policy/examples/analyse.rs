//! What rules cannot do: `cargo run --example analyse -- RULES.yaml`.

use std::error::Error;

use guard_policy::{FieldCatalogue, RuleFile, SourceFormat, analyse};

fn main() -> Result<(), Box<dyn Error>> {
    let rules = std::env::args().nth(1).ok_or("a rule file is expected")?;
    let format =
        SourceFormat::of_file_name(&rules).ok_or("a rule file ends with .yaml, .yml or .json")?;
    let file = RuleFile::parse(&rules, &std::fs::read_to_string(&rules)?, format)?;
    for finding in analyse(&file.compile()?, &FieldCatalogue::default()) {
        println!("{}: {finding}", finding.level.as_str());
    }
    Ok(())
}
