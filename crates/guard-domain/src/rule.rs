//! A rule as its author means it: plain data, valid by construction.

mod condition;
mod literal;
mod path;

use std::time::Duration;

pub use condition::{Condition, Operand, Operator, Quantifier, Test};
pub use literal::{Literal, NumberText};
pub use path::{FieldPath, FieldPathError, PathStep};

use crate::{ContactName, EventType, PlaybookName, RuleId, Severity};

/// What to do about which events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its id, unique within a tenant.
    pub id: RuleId,
    /// What it is for.
    pub description: Option<String>,
    /// The event types it looks at.
    pub event_types: EventTypeSelector,
    /// The least severity it looks at.
    pub min_severity: Option<Severity>,
    /// Higher comes first; ties are broken by the order in the file.
    pub priority: i64,
    /// Whether and how it takes part.
    pub mode: RuleMode,
    /// All of them must hold; none means that it always holds.
    pub conditions: Vec<Condition>,
    /// It acts from the `count`-th match within a time on.
    pub window: Option<Window>,
    /// How long a human may take over before it acts.
    pub grace: Option<Duration>,
    /// The humans who must agree before it acts.
    pub approval: Option<Approval>,
    /// After acting it rests for so many minutes; 0 for no rest.
    pub cooldown_minutes: u32,
    /// The rest is kept apart for each value of these fields.
    pub cooldown_by: Vec<FieldPath>,
    /// How often it may act at most.
    pub budget: Option<Budget>,
    /// What it does.
    pub action: Action,
    /// The controls of compliance frameworks that it implements, for example `SOC2:CC7.4`.
    pub controls: Vec<String>,
}

impl Rule {
    /// Whether its cooldown or its window is apart for each value of some fields.
    #[must_use]
    pub fn keeps_values_apart(&self) -> bool {
        let windowed = self
            .window
            .as_ref()
            .is_some_and(|window| !window.by.is_empty());
        windowed || !self.cooldown_by.is_empty()
    }

    /// The playbook it triggers, if that is what it does.
    #[must_use]
    pub const fn playbook(&self) -> Option<&PlaybookName> {
        match &self.action {
            Action::TriggerPlaybook { name, .. } => Some(name),
            _ => None,
        }
    }

    /// The playbooks it names: the one it triggers and the one that undoes it.
    pub fn playbooks(&self) -> impl Iterator<Item = &PlaybookName> {
        let (name, rollback) = match &self.action {
            Action::TriggerPlaybook { name, rollback, .. } => (Some(name), rollback.as_ref()),
            _ => (None, None),
        };
        name.into_iter().chain(rollback)
    }
}

/// Which event types a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventTypeSelector {
    /// All of them.
    Any,
    /// These.
    OneOf(Vec<EventType>),
}

impl EventTypeSelector {
    /// Whether an event of this type is looked at.
    #[must_use]
    pub fn accepts(&self, event_type: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(types) => types.iter().any(|known| known.as_str() == event_type),
        }
    }
}

crate::words::words! {
    /// Whether and how a rule takes part.
    pub enum RuleMode as "mode" {
        /// It decides and acts.
        Active => "active",
        /// Its matches are recorded beside the decision; it consumes nothing.
        Shadow => "shadow",
        /// It decides, and nothing is called; event and cooldown are consumed.
        DryRun => "dry_run",
        /// It takes no part.
        Disabled => "disabled",
    }
}

/// A count of matches within a sliding time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// It acts from this many matches on; from 2 to [`Self::MAX_COUNT`].
    pub count: u32,
    /// The length of the window; at most [`Self::MAX_WITHIN`].
    pub within: Duration,
    /// Matches are counted apart for each value of these fields.
    pub by: Vec<FieldPath>,
}

impl Window {
    /// The highest count: so many moments are kept for each value.
    pub const MAX_COUNT: u32 = 1000;
    /// The longest window, 30 days: so long a moment is kept.
    pub const MAX_WITHIN: Duration = Duration::from_secs(30 * 24 * 60 * 60);
}

/// The agreement of humans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Whether agreement is needed.
    pub required: bool,
    /// How many must agree; at least 1.
    pub approvers: u32,
    /// Without agreement by then it is denied.
    pub expires: Duration,
}

/// A cap on how often a rule may act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// How often at most.
    pub max: u32,
    /// In which time.
    pub per: Duration,
}

/// What a rule does; one per rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Runs a playbook.
    TriggerPlaybook {
        /// Its name.
        name: PlaybookName,
        /// What to send it, with `{{ path }}` placeholders; the event's context if absent.
        params: Option<Literal>,
        /// The playbook that undoes it.
        rollback: Option<PlaybookName>,
    },
    /// Calls a human.
    Escalate {
        /// Whom.
        to: ContactName,
        /// What to say, with `{{ path }}` placeholders.
        message: Option<String>,
    },
    /// Writes a line to the log.
    Log {
        /// How loud.
        level: LogLevel,
    },
    /// Does nothing, on record.
    Ignore,
}

crate::words::words! {
    /// How loud a log line is.
    pub enum LogLevel as "log level" {
        /// For developers.
        Debug => "debug",
        /// Worth knowing.
        Info => "info",
        /// Worth looking at.
        Warn => "warn",
        /// Something is wrong.
        Error => "error",
    }
}
