#![doc = include_str!("truth_table.md")]
//! The table is the specification of the operators, and its lines are the tests of this module.

#[cfg(test)]
mod tests {
    use crate::{RuleFile, RuleSet, Scratch, SourceFormat};

    const TABLE: &str = include_str!("truth_table.md");

    /// A line of the table.
    struct Line {
        value: String,
        condition: String,
        holds: bool,
    }

    fn lines() -> Vec<Line> {
        let rows = TABLE.lines().filter(|line| line.starts_with("| "));
        let rows = rows.filter(|line| !line.contains("| holds"));
        let line = |row: &str| {
            let row = row.replace("\\|", "\u{1}");
            let cell = |cell: &str| cell.trim().trim_matches('`').replace('\u{1}', "|");
            let cells: Vec<String> = row.split('|').map(cell).collect();
            assert!(cells[3] == "yes" || cells[3] == "no", "{row}");
            Line {
                value: cells[1].clone(),
                condition: cells[2].clone(),
                holds: cells[3] == "yes",
            }
        };
        rows.map(line).collect()
    }

    /// Rules of one condition on `context.x` each.
    fn rules(conditions: &[&str]) -> RuleSet {
        let rule = |(i, condition): (usize, &&str)| {
            let condition = condition.replacen('{', "{field: context.x, ", 1);
            format!("{{id: r-{i}, event_type: \"*\", action: ignore, conditions: [{condition}]}}")
        };
        let rules: Vec<_> = conditions.iter().enumerate().map(rule).collect();
        let text = format!("rules: [{}]", rules.join(",\n"));
        let file = RuleFile::parse("table", &text, SourceFormat::Yaml).unwrap();
        file.compile().unwrap()
    }

    fn event(value: &str) -> String {
        let x = if value == "–" {
            String::new()
        } else {
            format!(r#","x":{value}"#)
        };
        format!(
            r#"{{"event_type":"backup_failed","context":{{"four":4,"ab":"ab","list":[1,4],"nil":null{x}}}}}"#
        )
    }

    #[test]
    fn every_line_of_the_table_is_true() {
        let lines = lines();
        assert!(lines.len() > 100, "only {} lines were read", lines.len());
        for line in lines {
            let rules = rules(&[&line.condition]);
            let event = event(&line.value);
            let (value, condition) = (&line.value, &line.condition);
            let found = rules.matches_plainly(event.as_bytes()).unwrap().len();
            assert_eq!(found == 1, line.holds, "{value} {condition}, plainly");
            let mut scratch = Scratch::default();
            let found = rules.matches(event.as_bytes(), &mut scratch).unwrap();
            assert_eq!(found.count() == 1, line.holds, "{value} {condition}");
        }
    }

    #[test]
    fn every_line_is_true_among_all_others() {
        let lines = lines();
        let conditions: Vec<_> = lines.iter().map(|line| line.condition.as_str()).collect();
        // More than once, so that each kind of index has enough to be used.
        let rules = rules(&[conditions.as_slice(), &conditions, &conditions].concat());
        let mut scratch = Scratch::default();
        for (at, line) in lines.iter().enumerate() {
            let event = event(&line.value);
            let found = rules.matches(event.as_bytes(), &mut scratch).unwrap();
            let found: Vec<_> = found.map(|rule| rule.id.to_string()).collect();
            for copy in 0..3 {
                let id = format!("r-{}", copy * lines.len() + at);
                let (value, condition) = (&line.value, &line.condition);
                assert_eq!(found.contains(&id), line.holds, "{value} {condition}");
            }
        }
    }
}
