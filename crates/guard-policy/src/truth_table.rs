#![doc = include_str!("truth_table.md")]
//! The table is the specification of the operators, and its lines are the tests of this module.

#[cfg(test)]
mod tests {
    use crate::{RuleFile, RuleSet, SourceFormat, VersionedRule};

    const TABLE: &str = include_str!("truth_table.md");

    /// Whether a condition on `context.x` holds for a value.
    fn holds(value: &str, condition: &str) -> bool {
        let rule = format!(
            "rules: [{{id: r, event_type: \"*\", action: ignore, conditions: [{}]}}]",
            condition.replacen('{', "{field: context.x, ", 1)
        );
        let file = RuleFile::parse("table", &rule, SourceFormat::Yaml).unwrap();
        let rules = file.rules.into_iter().map(|p| VersionedRule {
            rule: p.rule,
            version: 1,
        });
        let rules = RuleSet::compile(1, rules.collect()).unwrap();
        let x = if value == "–" {
            String::new()
        } else {
            format!(r#","x":{value}"#)
        };
        let event = format!(
            r#"{{"event_type":"backup_failed","context":{{"four":4,"ab":"ab","list":[1,4],"nil":null{x}}}}}"#
        );
        !rules.evaluate(&event).unwrap().matches.is_empty()
    }

    #[test]
    fn every_line_of_the_table_is_true() {
        let mut lines = 0;
        for line in TABLE
            .lines()
            .filter(|line| line.starts_with("| ") && !line.contains("| holds"))
        {
            let line = line.replace("\\|", "\u{1}");
            let cells: Vec<String> = line
                .split('|')
                .map(|cell| cell.trim().trim_matches('`').replace('\u{1}', "|"))
                .collect();
            let (value, condition, expected) = (&cells[1], &cells[2], &cells[3]);
            assert!(expected == "yes" || expected == "no", "{line}");
            assert_eq!(holds(value, condition), expected == "yes", "{line}");
            lines += 1;
        }
        assert!(lines > 100, "only {lines} lines were read");
    }
}
