#![doc = include_str!("../README.md")]

pub mod id;
pub mod name;
pub mod suggest;
pub mod timestamp;

mod channel;
mod decision;
mod escalation;
mod event;
mod event_type;
mod execution;
mod json;
mod rule;
mod severity;
mod words;

pub use channel::{Channel, ChannelAddress, ChannelType, Notification, NotificationState};
pub use decision::{Decision, DecisionKind};
pub use escalation::{Escalation, EscalationReason};
pub use event::{
    Event, EventError, FieldError, MAX_BODY_BYTES, MAX_CONTEXT_BYTES, MAX_CONTEXT_DEPTH,
};
pub use event_type::{EventType, EventTypes};
pub use execution::{Attempt, AttemptOutcome, Execution, ExecutionState};
pub use id::{AuditId, EscalationId, EventId, ExecutionId};
pub use json::{JsonError, JsonObject, find_lone_surrogate, members};
pub use name::{ChannelName, ContactName, NameError, PlaybookName, RuleId, Source, TenantId};
pub use rule::{
    Action, Approval, Budget, Condition, EventTypeSelector, FieldPath, FieldPathError, Literal,
    LogLevel, NumberText, Operand, Operator, PathStep, Quantifier, Rule, RuleMode, Test, Window,
};
pub use severity::Severity;
pub use words::UnknownWord;
