//! Letting a workflow say what it would do.

use guard_domain::{
    Event, EventError, EventId, EventTypeSelector, Execution, PlaybookName, Rule, RuleId, Severity,
    members, suggest, timestamp,
};
use guard_policy::RuleSet;
use thiserror::Error;

use super::{OperatorService, actor};
use crate::ports::{Principal, Rehearsal, StorageError, random_tail};

/// The key of a delivery that is the guard's own.
const RESERVED: &str = "neural_guard";
/// The source of the event of a rehearsal that was ordered without one.
const SOURCE: &str = "rehearsal";

/// What to rehearse a playbook with.
#[derive(Debug, Clone, Default)]
pub struct RehearsalRequest {
    /// The event that it answers, as `POST /events` takes it; one is made up if not given.
    pub event: Option<String>,
    /// What to send: the text of a JSON object. As the rule says if not given.
    pub params: Option<String>,
    /// The rule in whose place it is ordered; the first that names the playbook if not given.
    pub rule_id: Option<String>,
}

/// Why a playbook was not rehearsed.
#[derive(Debug, Error)]
pub enum RehearseError {
    /// No live rule triggers this playbook or undoes by it.
    #[error("no live rule names the playbook `{name}`{}", suggest::hint(.nearest.as_deref()))]
    UnknownPlaybook {
        /// The name as given.
        name: String,
        /// The one that is spelled most like it.
        nearest: Option<String>,
    },
    /// The rule that was named does not name the playbook.
    #[error("the rule `{rule}` does not name the playbook `{playbook}`, but these do: {others}")]
    OtherRule {
        /// The rule.
        rule: String,
        /// The playbook.
        playbook: PlaybookName,
        /// The rules that do.
        others: String,
    },
    /// The event cannot be read.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The params are no object, or hold what is the guard's own.
    #[error("{0}")]
    Params(&'static str),
    /// The rule's params cannot be filled in from the event.
    #[error(
        "the params of the rule `{rule}` cannot be filled in: {missing}; give an event that has it, or params"
    )]
    Missing {
        /// The rule.
        rule: RuleId,
        /// What is missing.
        missing: String,
    },
    /// It could not be recorded.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl OperatorService {
    /// Orders a rehearsal: an execution of its own, for which the workflow is called with `dry_run` and says what it would
    /// do. It takes no cooldown and holds no rule back.
    ///
    /// # Errors
    /// [`RehearseError`] for a playbook that no live rule names, and for what cannot be sent to it.
    pub async fn rehearse(
        &self,
        principal: &Principal,
        request_id: &str,
        playbook: &str,
        request: &RehearsalRequest,
    ) -> Result<Execution, RehearseError> {
        let rules = self.rules.current(&principal.tenant);
        let (playbook, rule, version) = chosen(&rules, playbook, request.rule_id.as_deref())?;
        check_params(request.params.as_deref())?;
        let event = self.rehearsed_event(rule, request)?;
        let params = match &request.params {
            Some(params) => params.clone(),
            None => params_of(&rules, rule, &event)?,
        };
        let now = self.clock.now();
        let rehearsal = Rehearsal {
            playbook,
            rule: (rule.id.clone(), version),
            revision: rules.revision(),
            event_id: EventId::new(now, random_tail(self.random.as_ref())),
            event,
            params,
            deadline: self.execution_deadline,
        };
        let actor = actor(principal, request_id);
        let execution = self
            .outbox
            .rehearse(&principal.tenant, &rehearsal, &actor)
            .await?;
        self.wake.notify_one();
        Ok(execution)
    }

    /// The event that was given, or one that such a rule looks at.
    fn rehearsed_event(
        &self,
        rule: &Rule,
        request: &RehearsalRequest,
    ) -> Result<Event, EventError> {
        let now = self.clock.now();
        if let Some(event) = &request.event {
            return Event::parse(event.as_bytes(), &self.event_types, now);
        }
        let named = match &rule.event_types {
            EventTypeSelector::OneOf(types) => types.first(),
            EventTypeSelector::Any => None,
        };
        let event_type = named.or_else(|| self.event_types.iter().next());
        let severity = rule.min_severity.unwrap_or(Severity::Low);
        let body = format!(
            r#"{{"event_type":"{}","severity":"{severity}","source":"{SOURCE}","timestamp":"{}","context":{}}}"#,
            event_type.map_or("", |event_type| event_type.as_str()),
            timestamp::format(now),
            request.params.as_deref().unwrap_or("{}"),
        );
        Event::parse(body.as_bytes(), &self.event_types, now)
    }
}

/// The playbook and the rule in whose place it is rehearsed.
fn chosen<'r>(
    rules: &'r RuleSet,
    name: &str,
    wanted: Option<&str>,
) -> Result<(PlaybookName, &'r Rule, u32), RehearseError> {
    let named = || rules.rules().flat_map(|(rule, _)| rule.playbooks());
    let Some(playbook) = named().find(|playbook| playbook.as_str() == name) else {
        let nearest = suggest::nearest(name, named().map(PlaybookName::as_str));
        return Err(RehearseError::UnknownPlaybook {
            name: suggest::quote(name),
            nearest: nearest.map(str::to_owned),
        });
    };
    let mut candidates = rules
        .rules()
        .filter(|(rule, _)| rule.playbooks().any(|named| named == playbook));
    let found = match wanted {
        None => candidates.next(),
        Some(id) => candidates.find(|(rule, _)| rule.id.as_str() == id),
    };
    let (rule, version) = found.ok_or_else(|| {
        let others = rules
            .rules()
            .filter(|(rule, _)| rule.playbooks().any(|named| named == playbook))
            .map(|(rule, _)| rule.id.as_str());
        RehearseError::OtherRule {
            rule: suggest::quote(wanted.unwrap_or_default()),
            playbook: playbook.clone(),
            others: others.collect::<Vec<_>>().join(", "),
        }
    })?;
    Ok((playbook.clone(), rule, version))
}

fn check_params(params: Option<&str>) -> Result<(), RehearseError> {
    let Some(params) = params else { return Ok(()) };
    let Ok(members) = members(params) else {
        return Err(RehearseError::Params("the params are a JSON object"));
    };
    if members.0.iter().any(|(key, _)| key == RESERVED) {
        return Err(RehearseError::Params(
            "`neural_guard` is reserved for the guard's own part",
        ));
    }
    Ok(())
}

fn params_of(rules: &RuleSet, rule: &Rule, event: &Event) -> Result<String, RehearseError> {
    match rules.playbook_params(&rule.id, event) {
        Some(Ok(params)) => Ok(params),
        Some(Err(missing)) => Err(RehearseError::Missing {
            rule: rule.id.clone(),
            missing,
        }),
        None => Ok(event.context().to_owned()),
    }
}
