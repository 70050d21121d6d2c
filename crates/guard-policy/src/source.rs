//! From the text of rule files to rules, with every error at its place.

mod condition;
mod diagnostic;
mod json;
mod literal;
mod node;
mod reader;
mod rule;
mod test;
mod window;
mod yaml;

use std::collections::HashMap;

use guard_domain::{Rule, RuleId};

pub use diagnostic::{Diagnostic, DiagnosticKind, LoadError};
pub use node::Place;
pub use test::RuleTest;

use crate::rule_set::{CompileError, RuleSet, VersionedRule};
use node::Node;
use reader::Reader;

/// The largest rule file, in bytes.
pub const MAX_SOURCE_BYTES: usize = 16 * 1024 * 1024;

/// How a rule file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceFormat {
    /// YAML 1.2.
    Yaml,
    /// JSON.
    Json,
}

impl SourceFormat {
    /// The format of a file by the ending of its name: `.yaml`, `.yml` or `.json`.
    #[must_use]
    pub fn of_file_name(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// A part of the language that a server may not enforce yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// `grace`
    Grace,
    /// `approval`
    Approval,
    /// `budget`
    Budget,
}

impl Feature {
    /// The key of a rule that uses it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Grace => "grace",
            Self::Approval => "approval",
            Self::Budget => "budget",
        }
    }
}

/// A rule, and where it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedRule {
    /// The rule.
    pub rule: Rule,
    /// The rule as one line of JSON: the same for YAML and JSON, whatever the layout and comments were.
    pub definition: String,
    /// The file it is in.
    pub file: String,
    /// Where it begins.
    pub place: Place,
    key_places: Vec<(String, Place)>,
}

impl ParsedRule {
    /// Where a key of the rule stands; the rule's own place if it has no such key.
    #[must_use]
    pub fn place_of(&self, key: &str) -> Place {
        let found = self.key_places.iter().find(|(name, _)| name == key);
        found.map_or(self.place, |(_, place)| *place)
    }

    /// The parts of the language that it uses and a server may not enforce yet.
    #[must_use]
    pub fn features(&self) -> Vec<Feature> {
        [Feature::Grace, Feature::Approval, Feature::Budget]
            .into_iter()
            .filter(|feature| {
                self.key_places
                    .iter()
                    .any(|(name, _)| name == feature.key())
            })
            .collect()
    }

    /// A diagnostic about one of its keys.
    #[must_use]
    pub fn diagnostic(
        &self,
        kind: DiagnosticKind,
        key: &str,
        detail: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic {
            kind,
            file: self.file.clone(),
            place: self.place_of(key),
            rule: Some(self.rule.id.to_string()),
            detail: detail.into(),
        }
    }
}

/// What one or several rule files hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleFile {
    /// The rules, in the order of the files.
    pub rules: Vec<ParsedRule>,
    /// The tests that came with them.
    pub tests: Vec<RuleTest>,
}

impl RuleFile {
    /// Reads the text of one file. `name` is how errors call it.
    ///
    /// # Errors
    /// [`LoadError`] with everything that is wrong, each with its place.
    pub fn parse(name: &str, text: &str, format: SourceFormat) -> Result<Self, LoadError> {
        Self::parse_all([(name, text, format)])
    }

    /// Reads several files as one: ids must be unique across them.
    ///
    /// # Errors
    /// [`LoadError`] with everything that is wrong in any of them.
    pub fn parse_all<'a>(
        sources: impl IntoIterator<Item = (&'a str, &'a str, SourceFormat)>,
    ) -> Result<Self, LoadError> {
        let (file, diagnostics) = Self::parse_leniently(sources);
        if diagnostics.is_empty() {
            Ok(file)
        } else {
            Err(LoadError { diagnostics })
        }
    }

    /// Reads several files as one: what could be read, and everything that is wrong with the rest. For those who have
    /// further checks to make, so that all errors can be shown at once.
    pub fn parse_leniently<'a>(
        sources: impl IntoIterator<Item = (&'a str, &'a str, SourceFormat)>,
    ) -> (Self, Vec<Diagnostic>) {
        let mut file = Self::default();
        let mut diagnostics = Vec::new();
        for (name, text, format) in sources {
            match parse_nodes(text, format) {
                Err((place, detail)) => diagnostics.push(Diagnostic {
                    kind: DiagnosticKind::Syntax,
                    file: name.to_owned(),
                    place,
                    rule: None,
                    detail,
                }),
                Ok(root) => {
                    let mut reader = Reader::new(name);
                    reader.file(&root, &mut file);
                    diagnostics.append(&mut reader.diagnostics);
                }
            }
        }
        diagnostics.extend(file.repeated_ids());
        (file, diagnostics)
    }

    /// Compiles its rules: each as its first version, in a set that is on no record (revision 0).
    ///
    /// # Errors
    /// None for a file that was read; [`CompileError`] if its rules have been changed since to ones that cannot be compiled.
    pub fn compile(&self) -> Result<RuleSet, CompileError> {
        let first = |parsed: &ParsedRule| VersionedRule {
            rule: parsed.rule.clone(),
            version: 1,
        };
        RuleSet::compile(0, self.rules.iter().map(first).collect())
    }

    /// Reads [definitions](ParsedRule::definition) back.
    ///
    /// # Errors
    /// [`LoadError`] when a text is not the definition of a rule.
    pub fn parse_definitions<'a>(
        definitions: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Rule>, LoadError> {
        let mut reader = Reader::new("definition");
        let mut rules = Vec::new();
        for definition in definitions {
            match json::parse(definition) {
                Err((place, detail)) => reader.refuse(place, detail),
                Ok(node) => rules.extend(reader.rule(&node).map(|(rule, _, _)| rule)),
            }
        }
        let diagnostics = reader.diagnostics;
        if diagnostics.is_empty() {
            Ok(rules)
        } else {
            Err(LoadError { diagnostics })
        }
    }

    fn repeated_ids(&self) -> Vec<Diagnostic> {
        let mut seen: HashMap<&RuleId, &ParsedRule> = HashMap::new();
        let mut repeated = Vec::new();
        for parsed in &self.rules {
            match seen.get(&parsed.rule.id) {
                None => _ = seen.insert(&parsed.rule.id, parsed),
                Some(first) => repeated.push(parsed.diagnostic(
                    DiagnosticKind::Language,
                    "id",
                    format!(
                        "the id is taken by the rule at {}:{}:{}",
                        first.file, first.place.line, first.place.column
                    ),
                )),
            }
        }
        repeated
    }
}

fn parse_nodes(text: &str, format: SourceFormat) -> Result<Node, (Place, String)> {
    if text.len() > MAX_SOURCE_BYTES {
        let detail = format!("a rule file has at most {MAX_SOURCE_BYTES} bytes");
        return Err((Place::START, detail));
    }
    match format {
        SourceFormat::Yaml => yaml::parse(text),
        SourceFormat::Json => json::parse(text),
    }
}
