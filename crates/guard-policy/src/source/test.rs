//! Tests that a rule file brings with it.

use guard_domain::{DecisionKind, Literal, PlaybookName, RuleId};

use super::node::{Member, Node, NodeValue, Place};
use super::reader::{Reader, find};

/// Events, and what the rules should make of the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTest {
    /// The file it is in.
    pub file: String,
    /// Where it begins.
    pub place: Place,
    /// The events as JSON, at least one, in order. `source`, `timestamp` and `context` may be left out in the file and have
    /// been filled in.
    pub events: Vec<String>,
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
        let fields = self.map(node, "a test", &["event", "events", "expect"])?;
        let events = self.test_events(node, fields);
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
            events: events?,
            rule,
            decision,
            playbook,
        })
    }

    /// The one `event`, or the `events`; what is wrong with any is noted.
    fn test_events(&mut self, node: &Node, fields: &[Member]) -> Option<Vec<String>> {
        let nodes = match (find(fields, "event"), find(fields, "events")) {
            (Some(event), None) => std::slice::from_ref(event),
            (None, Some(events)) => {
                let nodes = self.list(events, "`events`");
                if matches!(&events.value, NodeValue::List(items) if items.is_empty()) {
                    self.refuse(events.place, "`events` has at least one event");
                }
                nodes
            }
            (None, None) => {
                self.refuse(node.place, "a test has `event` or `events`");
                return None;
            }
            (Some(_), Some(_)) => {
                self.refuse(node.place, "a test has `event` or `events`, not both");
                return None;
            }
        };
        nodes.iter().map(|event| self.test_event(event)).collect()
    }

    fn test_event(&mut self, node: &Node) -> Option<String> {
        if !matches!(node.value, NodeValue::Map(_)) {
            self.refuse(
                node.place,
                format!("an event is a map, not {}", node.kind()),
            );
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
