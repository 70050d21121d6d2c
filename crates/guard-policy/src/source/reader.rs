//! Reading nodes field by field, collecting every error on the way.

use std::time::Duration;

use guard_domain::{Literal, suggest};

use super::literal::literal;
use super::node::{Member, Node, NodeValue, Place};
use super::{Diagnostic, DiagnosticKind, ParsedRule, RuleFile};

const FILE_KEYS: [&str; 2] = ["rules", "tests"];

/// Reads one file.
pub(crate) struct Reader<'a> {
    file: &'a str,
    rule: Option<String>,
    /// How many conditions of the rule have been read.
    pub(crate) conditions: usize,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &'a str) -> Self {
        Self {
            file,
            rule: None,
            conditions: 0,
            diagnostics: Vec::new(),
        }
    }

    /// Notes an error.
    pub(crate) fn refuse(&mut self, place: Place, detail: impl Into<String>) {
        self.refuse_as(DiagnosticKind::Language, place, detail);
    }

    pub(crate) fn refuse_as(
        &mut self,
        kind: DiagnosticKind,
        place: Place,
        detail: impl Into<String>,
    ) {
        self.diagnostics.push(Diagnostic {
            kind,
            file: self.file.to_owned(),
            place,
            rule: self.rule.clone(),
            detail: detail.into(),
        });
    }

    /// Takes the value, or notes the error at a place.
    pub(crate) fn accept<T>(
        &mut self,
        place: Place,
        outcome: Result<T, impl ToString>,
    ) -> Option<T> {
        outcome
            .map_err(|error| self.refuse(place, error.to_string()))
            .ok()
    }

    /// Reads the whole file into `into`.
    pub(crate) fn file(&mut self, root: &Node, into: &mut RuleFile) {
        let Some(fields) = self.map(root, "a rule file", &FILE_KEYS) else {
            return;
        };
        let Some(rules) = self.required(root, fields, "rules") else {
            return;
        };
        for node in self.list(rules, "`rules`") {
            self.rule = id_of(node);
            if let Some((rule, definition, key_places)) = self.rule(node) {
                let (file, place) = (self.file.to_owned(), node.place);
                into.rules.push(ParsedRule {
                    rule,
                    definition,
                    file,
                    place,
                    key_places,
                });
            }
        }
        self.rule = None;
        if let Some(tests) = find(fields, "tests") {
            for node in self.list(tests, "`tests`") {
                let test = self.test(node);
                into.tests.extend(test);
            }
        }
    }

    pub(crate) const fn file_name(&self) -> &'a str {
        self.file
    }

    /// The members of a map, all of whose keys must be known.
    pub(crate) fn map<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        known: &[&str],
    ) -> Option<&'n [Member]> {
        let members = self.open_map(node, what)?;
        for member in members {
            if !known.contains(&member.key.as_str()) {
                let nearest = suggest::nearest(&member.key, known.iter().copied());
                let hint = nearest.map_or_else(
                    || format!("; {what} has {}", known.join(", ")),
                    |word| suggest::hint(Some(word)),
                );
                self.refuse(member.place, format!("unknown key `{}`{hint}", member.key));
            }
        }
        Some(members)
    }

    fn open_map<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Member]> {
        match &node.value {
            NodeValue::Map(members) => Some(members),
            _ => {
                self.refuse(node.place, format!("{what} is a map, not {}", node.kind()));
                None
            }
        }
    }

    /// The items of a list; none, and an error, if it is something else.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.value {
            NodeValue::List(items) => items,
            _ => {
                self.refuse(node.place, format!("{what} is a list, not {}", node.kind()));
                &[]
            }
        }
    }

    /// The value of a key that must be there.
    pub(crate) fn required<'n>(
        &mut self,
        owner: &Node,
        fields: &'n [Member],
        key: &str,
    ) -> Option<&'n Node> {
        let found = find(fields, key);
        if found.is_none() {
            self.refuse(owner.place, format!("key `{key}` is required"));
        }
        found
    }

    /// A value of any type.
    pub(crate) fn literal(&mut self, node: &Node) -> Option<Literal> {
        literal(node)
            .map_err(|(place, detail)| self.refuse(place, detail))
            .ok()
    }

    /// Text, quoted or not.
    pub(crate) fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.value {
            NodeValue::Scalar { text, plain } if !plain || !is_null(text) => Some(text),
            _ => {
                self.refuse(node.place, format!("{what} is text, not {}", node.kind()));
                None
            }
        }
    }

    /// Text that `parse` makes something of.
    pub(crate) fn parsed<T, E: ToString>(
        &mut self,
        node: &Node,
        what: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(node, what)?;
        self.accept(node.place, parse(text))
    }

    /// One text, or a list of them.
    pub(crate) fn texts<'n>(&mut self, node: &'n Node, what: &str) -> Vec<(&'n str, Place)> {
        let nodes = match &node.value {
            NodeValue::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        nodes
            .iter()
            .filter_map(|item| Some((self.text(item, what)?, item.place)))
            .collect()
    }

    /// An unquoted `true` or `false`.
    pub(crate) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        match self.literal(node)? {
            Literal::Bool(value) => Some(value),
            other => {
                self.refuse(node.place, format!("{what} is true or false, not {other}"));
                None
            }
        }
    }

    /// A whole number of at least `least`.
    pub(crate) fn whole<T>(&mut self, node: &Node, what: &str, least: T) -> Option<T>
    where
        T: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
    {
        let found = match self.literal(node)? {
            Literal::Number(number) => number.as_str().parse().ok().filter(|value| *value >= least),
            _ => None,
        };
        if found.is_none() {
            self.refuse(
                node.place,
                format!("{what} is a whole number of at least {least}"),
            );
        }
        found
    }

    /// A length of time, more than none, such as `10m`.
    pub(crate) fn duration(&mut self, node: &Node, what: &str) -> Option<Duration> {
        let text = self.text(node, what)?;
        let found = humantime::parse_duration(text)
            .ok()
            .filter(|length| !length.is_zero());
        if found.is_none() {
            let detail = format!("{what} is a length of time such as 30s, 10m or 1h, not `{text}`");
            self.refuse(node.place, detail);
        }
        found
    }
}

/// The value of a key.
pub(crate) fn find<'n>(fields: &'n [Member], key: &str) -> Option<&'n Node> {
    fields
        .iter()
        .find(|member| member.key == key)
        .map(|member| &member.value)
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null")
}

/// The id of a rule that may be wrong otherwise.
fn id_of(node: &Node) -> Option<String> {
    let NodeValue::Map(members) = &node.value else {
        return None;
    };
    match &find(members, "id")?.value {
        NodeValue::Scalar { text, .. } => Some(text.clone()),
        _ => None,
    }
}
