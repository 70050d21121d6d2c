//! Nodes to conditions.

use guard_domain::{Condition, FieldPath, Operand, Operator, Quantifier, Test};

use super::DiagnosticKind;
use super::node::{Member, Node, NodeValue};
use super::reader::{Reader, find};
use crate::matcher::{Matcher, MatcherError};

const TEST_KEYS: [&str; 6] = [
    "field",
    "op",
    "value",
    "value_of",
    "ignore_case",
    "quantifier",
];
const GROUP_KEYS: [&str; 3] = ["all", "any", "not"];
/// How deep conditions may nest.
const MAX_NESTING: usize = 16;
/// How many conditions a rule has at most, groups and what is in them included: they are compared with each other.
const MAX_CONDITIONS: usize = 256;

impl Reader<'_> {
    /// A list of conditions; what is wrong is noted and left out.
    pub(crate) fn conditions(&mut self, node: &Node, what: &str, depth: usize) -> Vec<Condition> {
        if depth > MAX_NESTING {
            self.refuse(
                node.place,
                format!("conditions nest at most {MAX_NESTING} levels deep"),
            );
            return Vec::new();
        }
        if depth == 0 {
            self.conditions = 0;
        }
        let nodes = self.list(node, what);
        nodes
            .iter()
            .filter_map(|node| self.condition(node, depth))
            .collect()
    }

    fn condition(&mut self, node: &Node, depth: usize) -> Option<Condition> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            if self.conditions == MAX_CONDITIONS + 1 {
                let detail = format!(
                    "a rule has at most {MAX_CONDITIONS} conditions; `in` takes any number of values, or make several rules"
                );
                self.refuse(node.place, detail);
            }
            return None;
        }
        if let NodeValue::Map(members) = &node.value
            && let Some(group) = members
                .iter()
                .find(|m| GROUP_KEYS.contains(&m.key.as_str()))
        {
            if members.len() > 1 {
                let detail = format!("`{}` stands alone in its condition", group.key);
                self.refuse(group.place, detail);
            }
            return self.group(group, depth + 1);
        }
        let mut known = TEST_KEYS.to_vec();
        known.extend(GROUP_KEYS);
        let fields = self.map(node, "a condition", &known)?;
        self.field_test(node, fields).map(Condition::Test)
    }

    fn group(&mut self, group: &Member, depth: usize) -> Option<Condition> {
        match group.key.as_str() {
            "all" => Some(Condition::All(self.conditions(
                &group.value,
                "`all`",
                depth,
            ))),
            "any" => Some(Condition::Any(self.conditions(
                &group.value,
                "`any`",
                depth,
            ))),
            _ if depth > MAX_NESTING => {
                let detail = format!("conditions nest at most {MAX_NESTING} levels deep");
                self.refuse(group.place, detail);
                None
            }
            _ => {
                let inner = self.condition(&group.value, depth)?;
                Some(Condition::Not(Box::new(inner)))
            }
        }
    }

    fn field_test(&mut self, node: &Node, fields: &[Member]) -> Option<Test> {
        let field = self
            .required(node, fields, "field")
            .and_then(|field| self.parsed(field, "`field`", FieldPath::parse));
        let op = self.required(node, fields, "op");
        let operator = op.and_then(|op| self.parsed(op, "`op`", Operator::parse_spelling));
        let operand = self.operand(node, fields);
        let ignore_case = find(fields, "ignore_case")
            .and_then(|node| self.boolean(node, "`ignore_case`"))
            .unwrap_or(false);
        let quantifier = find(fields, "quantifier")
            .and_then(|node| self.parsed(node, "`quantifier`", Quantifier::parse))
            .unwrap_or(Quantifier::Any);
        let (operator, negated) = operator?;
        let (field, operand) = (field?, operand?);
        let test = Test {
            field,
            operator,
            negated,
            operand,
            ignore_case,
            quantifier,
        };
        let place = find(fields, "value")
            .or(op)
            .map_or(node.place, |node| node.place);
        if let Err(error) = Matcher::compile(&test) {
            let kind = match error {
                MatcherError::TooCostly { .. } => DiagnosticKind::TooCostly,
                _ => DiagnosticKind::Language,
            };
            self.refuse_as(kind, place, error.to_string());
            return None;
        }
        Some(test)
    }

    fn operand(&mut self, node: &Node, fields: &[Member]) -> Option<Operand> {
        match (find(fields, "value"), find(fields, "value_of")) {
            (None, None) => Some(Operand::None),
            (
                Some(Node {
                    place,
                    value: NodeValue::Scalar { text, plain: true },
                }),
                None,
            ) if text.is_empty() => {
                self.refuse(
                    *place,
                    "`value` is left empty; write `null` if that is meant",
                );
                None
            }
            (Some(value), None) => self.literal(value).map(Operand::Value),
            (None, Some(path)) => self
                .parsed(path, "`value_of`", FieldPath::parse)
                .map(Operand::ValueOf),
            (Some(_), Some(_)) => {
                self.refuse(
                    node.place,
                    "a condition has `value` or `value_of`, not both",
                );
                None
            }
        }
    }
}
