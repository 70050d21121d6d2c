//! Publishing rules, and trying them.

use std::sync::Arc;
use std::time::Duration;

use guard_domain::{Action, ContactName, Event, EventTypeSelector, EventTypes, TenantId, suggest};
use guard_policy::{
    Diagnostic, DiagnosticKind, FieldCatalogue, Finding, LoadError, MalformedEvent, ParsedRule,
    Pauses, RuleExplanation, RuleFile, RuleSet, SourceFormat, StandingState, Terms, Verdict,
    analyse, decide, explain,
};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ports::{Actor, Clock, PublishMode, Published, RuleDefinition, RuleStore, StorageError};
use crate::rule_book::RuleBook;

/// How long a preview waits for its turn.
const PREVIEW_PATIENCE: Duration = Duration::from_secs(2);

/// What rules may name: the server's configuration.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// The event types.
    pub event_types: EventTypes,
    /// The contacts, `default` among them.
    pub contacts: Vec<ContactName>,
    /// The fields that events have, as far as that is known.
    pub fields: FieldCatalogue,
}

impl Catalogue {
    /// What keeps rules from being published here, beside errors of the language: unknown event types and contacts, and
    /// keys that this server does not enforce yet.
    #[must_use]
    pub fn check(&self, file: &RuleFile) -> Vec<Diagnostic> {
        file.rules
            .iter()
            .flat_map(|parsed| self.check_rule(parsed))
            .collect()
    }

    fn check_rule(&self, parsed: &ParsedRule) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for feature in parsed.features() {
            let detail = format!(
                "`{}` is not enforced by this server yet; a rule that needs it cannot be loaded",
                feature.key()
            );
            found.push(parsed.diagnostic(DiagnosticKind::Refused, feature.key(), detail));
        }
        if let EventTypeSelector::OneOf(types) = &parsed.rule.event_types {
            for event_type in types {
                if let Err(unknown) = self.event_types.find(event_type.as_str()) {
                    found.push(parsed.diagnostic(
                        DiagnosticKind::Refused,
                        "event_type",
                        unknown.to_string(),
                    ));
                }
            }
        }
        if let Action::Escalate { to, .. } = &parsed.rule.action
            && !self.contacts.contains(to)
        {
            let known = self.contacts.iter().map(ContactName::as_str);
            let hint = suggest::hint(suggest::nearest(to.as_str(), known.clone()));
            let known = known.collect::<Vec<_>>().join(", ");
            let detail = format!("unknown contact `{to}`, expected one of {known}{hint}");
            found.push(parsed.diagnostic(DiagnosticKind::Refused, "action", detail));
        }
        found
    }
}

/// Why rules were not published.
#[derive(Debug, Error)]
pub enum PublishError {
    /// They are wrong.
    #[error(transparent)]
    Wrong(#[from] LoadError),
    /// They could not be stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What would be decided about an event.
#[derive(Debug)]
pub struct Preview {
    /// The verdict.
    pub verdict: Verdict,
    /// The rules whose conditions hold and that are active or in dry-run, in order.
    pub matches: Vec<guard_domain::RuleId>,
    /// What became of each rule.
    pub explanation: Vec<RuleExplanation>,
    /// What is to be said of the rules, if they came with the request.
    pub findings: Option<Vec<Finding>>,
}

/// Why an event could not be previewed.
#[derive(Debug, Error)]
pub enum PreviewError {
    /// The rules that came with the request are wrong.
    #[error(transparent)]
    Rules(#[from] LoadError),
    /// The event cannot be evaluated.
    #[error(transparent)]
    Event(#[from] MalformedEvent),
    /// Rules that came with other requests are being compiled.
    #[error("the rules of other requests are being evaluated; try again")]
    Busy,
}

/// The turn to compile rules that came with a request.
pub struct PreviewTurn(#[expect(dead_code, reason = "it is held, not read")] OwnedSemaphorePermit);

/// Publishes rules and previews decisions.
pub struct RuleManager {
    /// The live rules.
    pub book: Arc<RuleBook>,
    /// Where rules are kept.
    pub store: Arc<dyn RuleStore>,
    /// What rules may name.
    pub catalogue: Catalogue,
    /// What decisions are made by.
    pub terms: Terms,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How many previews compile rules of their own at once.
    pub previews: Arc<Semaphore>,
}

impl RuleManager {
    /// How many previews may compile rules of their own at once: large rule sets take a core for seconds, which intakes need.
    pub const PREVIEWS_AT_ONCE: usize = 1;

    /// Waits for the turn to preview with rules that came with a request; it lasts until what is given is dropped.
    ///
    /// # Errors
    /// [`PreviewError::Busy`] if there is none for two seconds.
    pub async fn preview_turn(&self) -> Result<PreviewTurn, PreviewError> {
        let place = self.previews.clone().acquire_owned();
        let place = tokio::time::timeout(PREVIEW_PATIENCE, place).await;
        let place = place.map_err(|_| PreviewError::Busy)?;
        place.map(PreviewTurn).map_err(|_| PreviewError::Busy)
    }

    /// Publishes the rules of a file as the tenant's whole set, and makes them live here.
    ///
    /// # Errors
    /// [`PublishError::Wrong`] with everything that is wrong with them; nothing changes then.
    pub async fn publish(
        &self,
        tenant: &TenantId,
        file: &RuleFile,
        origin: &str,
        mode: PublishMode,
        actor: &Actor,
    ) -> Result<Published, PublishError> {
        let diagnostics = self.catalogue.check(file);
        if !diagnostics.is_empty() {
            return Err(LoadError { diagnostics }.into());
        }
        // What is stored must read back as what was checked.
        RuleFile::parse_definitions(file.rules.iter().map(|parsed| parsed.definition.as_str()))?;
        let definition = |parsed: &ParsedRule| RuleDefinition {
            id: parsed.rule.id.clone(),
            definition: parsed.definition.clone(),
        };
        let rules: Vec<_> = file.rules.iter().map(definition).collect();
        let published = self
            .store
            .publish(tenant, &rules, origin, mode, actor)
            .await?;
        self.book.refresh(tenant).await?;
        Ok(published)
    }

    /// What would be decided about an event by the live rules, or by others, as if nothing had happened before. Nothing
    /// is written.
    ///
    /// # Errors
    /// [`PreviewError`] if the given rules are wrong or the event cannot be evaluated.
    pub fn preview(
        &self,
        tenant: &TenantId,
        event: &Event,
        rules: Option<&str>,
    ) -> Result<Preview, PreviewError> {
        let (rules, findings) = match rules {
            None => (self.book.current(tenant), None),
            Some(text) => {
                let rules = self.compile(text)?;
                let findings = analyse(&rules, &self.catalogue.fields);
                (Arc::new(rules), Some(findings))
            }
        };
        let evaluation = rules.evaluate(event.body())?;
        let standing = StandingState::new(Pauses::default());
        let now = self.clock.now();
        let verdict = decide(&rules, event, &evaluation, &standing, now, &self.terms);
        let explanation = explain(&rules, event, &verdict)?;
        let matches = evaluation
            .matches
            .into_iter()
            .map(|found| found.rule_id)
            .collect();
        Ok(Preview {
            verdict,
            matches,
            explanation,
            findings,
        })
    }

    fn compile(&self, text: &str) -> Result<RuleSet, LoadError> {
        let file = RuleFile::parse("rules", text, SourceFormat::Json)?;
        let diagnostics = self.catalogue.check(&file);
        if !diagnostics.is_empty() {
            return Err(LoadError { diagnostics });
        }
        file.compile().map_err(|error| LoadError {
            diagnostics: vec![Diagnostic {
                kind: DiagnosticKind::Language,
                file: "rules".to_owned(),
                place: guard_policy::Place::START,
                rule: Some(error.rule_id.to_string()),
                detail: error.detail,
            }],
        })
    }
}
