//! Nodes to a rule.

use guard_domain::{
    Action, Approval, Budget, ContactName, EventType, EventTypeSelector, FieldPath, Literal,
    LogLevel, PlaybookName, Rule, RuleId, RuleMode, Severity,
};

use super::node::{Member, Node, NodeValue, Place};
use super::reader::{Reader, find};
use crate::template::Template;

const RULE_KEYS: [&str; 15] = [
    "id",
    "description",
    "event_type",
    "min_severity",
    "priority",
    "mode",
    "conditions",
    "window",
    "grace",
    "approval",
    "cooldown_minutes",
    "cooldown_by",
    "budget",
    "action",
    "controls",
];
const ACTION_KEYS: [&str; 4] = ["trigger_playbook", "escalate", "log", "ignore"];
/// The longest rest: a year.
const MAX_COOLDOWN_MINUTES: u32 = 366 * 24 * 60;

type KeyPlaces = Vec<(String, Place)>;

impl Reader<'_> {
    /// A rule, its canonical definition, and where its keys stand.
    pub(crate) fn rule(&mut self, node: &Node) -> Option<(Rule, String, KeyPlaces)> {
        let errors_before = self.diagnostics.len();
        let fields = self.map(node, "a rule", &RULE_KEYS)?;
        let id = self
            .required(node, fields, "id")
            .and_then(|id| self.parsed(id, "`id`", RuleId::parse));
        let event_types = self
            .required(node, fields, "event_type")
            .and_then(|types| self.event_types(types));
        let action = self
            .required(node, fields, "action")
            .and_then(|action| self.action(action));
        let rule = Rule {
            description: self.optional(fields, "description", |reader, node| {
                reader.text(node, "`description`").map(str::to_owned)
            }),
            min_severity: self.optional(fields, "min_severity", |reader, node| {
                reader.parsed(node, "`min_severity`", Severity::parse)
            }),
            priority: self
                .optional(fields, "priority", |reader, node| {
                    reader.whole(node, "`priority`", i64::MIN)
                })
                .unwrap_or(0),
            mode: self
                .optional(fields, "mode", |reader, node| {
                    reader.parsed(node, "`mode`", RuleMode::parse)
                })
                .unwrap_or(RuleMode::Active),
            conditions: find(fields, "conditions")
                .map(|node| self.conditions(node, "`conditions`", 0))
                .unwrap_or_default(),
            window: self.optional(fields, "window", Reader::window),
            grace: self.optional(fields, "grace", |reader, node| {
                reader.duration(node, "`grace`")
            }),
            approval: self.optional(fields, "approval", Reader::approval),
            cooldown_minutes: self
                .optional(fields, "cooldown_minutes", Reader::cooldown_minutes)
                .unwrap_or(0),
            cooldown_by: self.paths(fields, "cooldown_by"),
            budget: self.optional(fields, "budget", Reader::budget),
            controls: find(fields, "controls")
                .map(|node| self.texts(node, "a control"))
                .unwrap_or_default()
                .into_iter()
                .map(|(text, _)| text.to_owned())
                .collect(),
            id: id?,
            event_types: event_types?,
            action: action?,
        };
        if self.diagnostics.len() > errors_before {
            return None;
        }
        let definition = self.literal(node)?.to_string();
        let key_places = fields
            .iter()
            .map(|member| (member.key.clone(), member.place))
            .collect();
        Some((rule, definition, key_places))
    }

    fn optional<T>(
        &mut self,
        fields: &[Member],
        key: &str,
        read: impl FnOnce(&mut Self, &Node) -> Option<T>,
    ) -> Option<T> {
        find(fields, key).and_then(|node| read(self, node))
    }

    fn event_types(&mut self, node: &Node) -> Option<EventTypeSelector> {
        let texts = self.texts(node, "`event_type`");
        if let [("*", _)] = texts.as_slice() {
            return Some(EventTypeSelector::Any);
        }
        if texts.is_empty() {
            self.refuse(
                node.place,
                "`event_type` names at least one event type, or \"*\"",
            );
            return None;
        }
        let mut types = Vec::new();
        for (text, place) in texts {
            let found = EventType::parse(text).ok_or_else(|| {
                format!("`{text}` is not an event type: a-z, 0-9 and `_`, beginning with a letter; or \"*\" alone")
            });
            types.extend(self.accept(place, found));
        }
        Some(EventTypeSelector::OneOf(types))
    }

    pub(super) fn paths(&mut self, fields: &[Member], key: &str) -> Vec<FieldPath> {
        let Some(node) = find(fields, key) else {
            return Vec::new();
        };
        let what = format!("`{key}`");
        let mut paths = Vec::new();
        for (text, place) in self.texts(node, &what) {
            paths.extend(self.accept(place, FieldPath::parse(text)));
        }
        paths
    }

    fn cooldown_minutes(&mut self, node: &Node) -> Option<u32> {
        let minutes = self.whole(node, "`cooldown_minutes`", 0)?;
        if minutes > MAX_COOLDOWN_MINUTES {
            let detail = format!("`cooldown_minutes` is at most {MAX_COOLDOWN_MINUTES}, a year");
            self.refuse(node.place, detail);
            return None;
        }
        Some(minutes)
    }

    fn approval(&mut self, node: &Node) -> Option<Approval> {
        let fields = self.map(node, "`approval`", &["required", "approvers", "expires"])?;
        let required = self
            .required(node, fields, "required")
            .and_then(|required| self.boolean(required, "`required`"));
        let approvers = self
            .optional(fields, "approvers", |reader, node| {
                reader.whole(node, "`approvers`", 1)
            })
            .unwrap_or(1);
        let expires = self
            .required(node, fields, "expires")
            .and_then(|expires| self.duration(expires, "`expires`"));
        Some(Approval {
            required: required?,
            approvers,
            expires: expires?,
        })
    }

    fn budget(&mut self, node: &Node) -> Option<Budget> {
        let fields = self.map(node, "`budget`", &["max", "per"])?;
        let max = self
            .required(node, fields, "max")
            .and_then(|max| self.whole(max, "`max`", 1));
        let per = self
            .required(node, fields, "per")
            .and_then(|per| self.duration(per, "`per`"));
        Some(Budget {
            max: max?,
            per: per?,
        })
    }

    fn action(&mut self, node: &Node) -> Option<Action> {
        if matches!(&node.value, NodeValue::Scalar { text, .. } if text == "ignore") {
            return Some(Action::Ignore);
        }
        let fields = self.map(node, "`action`", &ACTION_KEYS)?;
        let [Member { key, value, .. }] = fields else {
            let found = fields.len();
            self.refuse(
                node.place,
                format!(
                    "a rule has one action of {}, not {found}",
                    ACTION_KEYS.join(", ")
                ),
            );
            return None;
        };
        match key.as_str() {
            "trigger_playbook" => self.trigger_playbook(value),
            "escalate" => self.escalate(value),
            "log" => {
                let fields = self.map(value, "`log`", &["level"])?;
                let level = self.required(value, fields, "level")?;
                let level = self.parsed(level, "`level`", LogLevel::parse)?;
                Some(Action::Log { level })
            }
            "ignore" if is_empty(value) => Some(Action::Ignore),
            "ignore" => {
                self.refuse(value.place, "`ignore` takes nothing");
                None
            }
            _ => None,
        }
    }

    fn trigger_playbook(&mut self, node: &Node) -> Option<Action> {
        let fields = self.map(node, "`trigger_playbook`", &["name", "params", "rollback"])?;
        let name = self
            .required(node, fields, "name")
            .and_then(|name| self.parsed(name, "`name`", PlaybookName::parse));
        let rollback = self.optional(fields, "rollback", |reader, node| {
            reader.parsed(node, "`rollback`", PlaybookName::parse)
        });
        let params = self.optional(fields, "params", Reader::params);
        Some(Action::TriggerPlaybook {
            name: name?,
            params,
            rollback,
        })
    }

    fn params(&mut self, node: &Node) -> Option<Literal> {
        let fields = match &node.value {
            NodeValue::Map(fields) => fields,
            _ => {
                self.refuse(
                    node.place,
                    format!("`params` is a map, not {}", node.kind()),
                );
                return None;
            }
        };
        if let Some(reserved) = fields.iter().find(|member| member.key == "neural_guard") {
            self.refuse(
                reserved.place,
                "`neural_guard` is reserved for the guard's own part",
            );
        }
        let params = self.literal(node)?;
        self.accept(node.place, Template::compile(&params))?;
        Some(params)
    }

    fn escalate(&mut self, node: &Node) -> Option<Action> {
        let fields = self.map(node, "`escalate`", &["to", "message"])?;
        let to = self
            .required(node, fields, "to")
            .and_then(|to| self.parsed(to, "`to`", ContactName::parse));
        let message = self.optional(fields, "message", |reader, node| {
            let text = reader.text(node, "`message`")?.to_owned();
            reader.accept(
                node.place,
                Template::compile(&Literal::String(text.clone())),
            )?;
            Some(text)
        });
        Some(Action::Escalate { to: to?, message })
    }
}

fn is_empty(node: &Node) -> bool {
    match &node.value {
        NodeValue::Scalar { text, plain } => *plain && matches!(text.as_str(), "" | "~" | "null"),
        NodeValue::List(_) => false,
        NodeValue::Map(members) => members.is_empty(),
    }
}
