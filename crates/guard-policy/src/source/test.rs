//! Tests that a rule file brings with it.

use guard_domain::{DecisionKind, Literal, PlaybookName, RuleId};

use super::node::{Node, NodeValue, Place};
use super::reader::{Reader, find};

/// An event, and what the rules should make of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTest {
    /// The file it is in.
    pub file: String,
    /// Where it begins.
    pub place: Place,
    /// The event as JSON. `source`, `timestamp` and `context` may be left out in the file and have been filled in.
    pub event: String,
    /// The rule expected to decide; `Some(None)` expects that none does.
    pub rule: Option<Option<RuleId>>,
    /// The decision expected.
    pub decision: Option<DecisionKind>,
    /// The playbook expected.
    pub playbook: Option<PlaybookName>,
}

/// What a test's event has if the file does not say.
const DEFAULTS: [(&str, &str); 2] = [("source", "test"), ("timestamp", "2026-01-01T00:00:00Z")];

impl Reader<'_> {
    pub(crate) fn test(&mut self, node: &Node) -> Option<RuleTest> {
        let fields = self.map(node, "a test", &["event", "expect"])?;
        let event = self
            .required(node, fields, "event")
            .and_then(|event| self.test_event(event));
        let expect = self.required(node, fields, "expect")?;
        let expected = self.map(expect, "`expect`", &["rule", "decision", "playbook"])?;
        if expected.is_empty() {
            self.refuse(
                expect.place,
                "`expect` names a rule, a decision or a playbook",
            );
        }
        let rule = find(expected, "rule").map(|node| match self.literal(node) {
            Some(Literal::Null) => None,
            _ => self.parsed(node, "`rule`", RuleId::parse),
        });
        let decision = find(expected, "decision")
            .and_then(|node| self.parsed(node, "`decision`", DecisionKind::parse));
        let playbook = find(expected, "playbook")
            .and_then(|node| self.parsed(node, "`playbook`", PlaybookName::parse));
        let (file, place) = (self.file_name().to_owned(), node.place);
        Some(RuleTest {
            file,
            place,
            event: event?,
            rule,
            decision,
            playbook,
        })
    }

    fn test_event(&mut self, node: &Node) -> Option<String> {
        if !matches!(node.value, NodeValue::Map(_)) {
            self.refuse(node.place, format!("`event` is a map, not {}", node.kind()));
            return None;
        }
        let Literal::Map(mut members) = self.literal(node)? else {
            return None;
        };
        let has = |members: &[(String, Literal)], key: &str| members.iter().any(|(k, _)| k == key);
        for (key, value) in DEFAULTS {
            if !has(&members, key) {
                members.push((key.to_owned(), Literal::String(value.to_owned())));
            }
        }
        if !has(&members, "context") {
            members.push(("context".to_owned(), Literal::Map(Vec::new())));
        }
        Some(Literal::Map(members).to_string())
    }
}
