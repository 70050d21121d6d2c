//! Reading back what happened.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use guard_domain::{
    Attempt, AuditId, Decision, DecisionKind, Escalation, EventId, EventType, Execution,
    ExecutionId, ExecutionState, Notification, PlaybookName, RuleId, Source, TenantId,
};
use uuid::Uuid;

use super::{ExecutionBrief, StorageError};

/// A page by id: newest first, ids below `before`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdPage {
    /// Only ids below this one.
    pub before: Option<Uuid>,
    /// How many at most.
    pub limit: u32,
}

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this source.
    pub source: Option<Source>,
    /// Of this type.
    pub event_type: Option<EventType>,
    /// With this decision.
    pub decision: Option<DecisionKind>,
    /// Received at or after this moment.
    pub since: Option<DateTime<Utc>>,
    /// Received before this moment.
    pub until: Option<DateTime<Utc>>,
}

/// Which executions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// In this state.
    pub state: Option<ExecutionState>,
    /// Of this playbook.
    pub playbook: Option<PlaybookName>,
    /// Ordered by this rule.
    pub rule_id: Option<RuleId>,
    /// Decided at or after this moment.
    pub since: Option<DateTime<Utc>>,
    /// Decided before this moment.
    pub until: Option<DateTime<Utc>>,
}

/// Which escalations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EscalationFilter {
    /// Raised at or after this moment.
    pub since: Option<DateTime<Utc>>,
    /// Raised before this moment.
    pub until: Option<DateTime<Utc>>,
}

/// Which audit records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// About this event.
    pub event_id: Option<EventId>,
    /// Of this rule.
    pub rule_id: Option<RuleId>,
    /// Recorded at or after this moment.
    pub since: Option<DateTime<Utc>>,
    /// Recorded before this moment.
    pub until: Option<DateTime<Utc>>,
}

/// An event on record, with what was decided about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Its id.
    pub id: EventId,
    /// The event, as the text that was sent.
    pub body: String,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// What was decided.
    pub decision: Decision,
    /// When.
    pub executed_at: DateTime<Utc>,
    /// The execution that followed.
    pub execution: Option<ExecutionBrief>,
    /// How many deliveries of it were attempted.
    pub attempts: u32,
}

/// An execution with its attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionDetail {
    /// The execution.
    pub execution: Execution,
    /// What is sent: the text of a JSON object.
    pub params: String,
    /// Every attempt, in order.
    pub attempts: Vec<Attempt>,
}

/// An escalation with what was sent of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EscalationRecord {
    /// The escalation.
    pub escalation: Escalation,
    /// One for each channel that it goes over, by the channel's name.
    pub notifications: Vec<Notification>,
}

/// A record of the audit trail: a decision, or something that somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its id.
    pub id: AuditId,
    /// The chain it belongs to: a process begins one or two when it starts, and another when a commit is not heard of.
    pub chain: Uuid,
    /// Its link in the chain: one for each commit, from 1.
    pub link: u64,
    /// Its place in the link, from 0.
    pub position: u32,
    /// What happened: `decision`, `execution_cancelled`, `rules_published` and so on.
    pub action: String,
    /// Who did it.
    pub actor: String,
    /// The request that did it.
    pub request_id: Option<String>,
    /// What it was done to, if that is not an event.
    pub target: Option<String>,
    /// The event decided about.
    pub event_id: Option<EventId>,
    /// The decision.
    pub decision: Option<DecisionKind>,
    /// The rule that decided.
    pub rule_id: Option<RuleId>,
    /// Its version.
    pub rule_version: Option<u32>,
    /// The revision of the rules.
    pub revision: Option<u64>,
    /// The execution that follows.
    pub execution_id: Option<ExecutionId>,
    /// Why, in a sentence.
    pub message: String,
    /// The shadow rules that matched.
    pub shadows: Vec<String>,
    /// When.
    pub executed_at: DateTime<Utc>,
}

/// How far a reader has come: for each chain, the last link and the place in it.
pub type AuditPosition = BTreeMap<Uuid, (u64, u32)>;

/// What happened.
#[async_trait]
pub trait Archive: Send + Sync {
    /// One event.
    async fn event(
        &self,
        tenant: &TenantId,
        id: EventId,
    ) -> Result<Option<EventRecord>, StorageError>;

    /// Events, newest first.
    async fn events(
        &self,
        tenant: &TenantId,
        filter: &EventFilter,
        page: IdPage,
    ) -> Result<Vec<EventRecord>, StorageError>;

    /// One execution with its attempts.
    async fn execution(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
    ) -> Result<Option<ExecutionDetail>, StorageError>;

    /// Executions, newest first.
    async fn executions(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        page: IdPage,
    ) -> Result<Vec<Execution>, StorageError>;

    /// Escalations, newest first.
    async fn escalations(
        &self,
        tenant: &TenantId,
        filter: &EscalationFilter,
        page: IdPage,
    ) -> Result<Vec<EscalationRecord>, StorageError>;

    /// Audit records, newest first.
    async fn audit(
        &self,
        tenant: &TenantId,
        filter: &AuditFilter,
        page: IdPage,
    ) -> Result<Vec<AuditRecord>, StorageError>;

    /// Audit records after a position, oldest first within each chain, and the position then. Nothing that was
    /// committed late is missed: every chain has a position of its own.
    async fn audit_after(
        &self,
        tenant: &TenantId,
        position: &AuditPosition,
        limit: u32,
    ) -> Result<(Vec<AuditRecord>, AuditPosition), StorageError>;
}
