//! The audit trail.

use guard_app::ports::AuditRecord;
use guard_domain::{DecisionKind, timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// A decision, or something that somebody did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditRecordBody {
    /// Its id.
    id: String,
    /// What happened.
    #[schema(example = "decision")]
    action: String,
    /// Who did it.
    actor: String,
    /// The request that did it.
    request_id: Option<String>,
    /// What it was done to, if that is not an event.
    target: Option<String>,
    /// The event decided about.
    event_id: Option<String>,
    /// The decision.
    decision: Option<&'static str>,
    /// The rule that decided.
    rule_id: Option<String>,
    /// Its version.
    rule_version: Option<u32>,
    /// The revision of the rules.
    revision: Option<u64>,
    /// The execution that follows.
    execution_id: Option<String>,
    /// Why, in a sentence.
    message: String,
    /// The shadow rules that matched.
    shadows: Vec<String>,
    /// When.
    executed_at: String,
    /// The chain it belongs to: one for each start of a process.
    chain: String,
    /// Its link in the chain: one for each commit.
    link: u64,
    /// Its place in the link.
    position: u32,
}

impl From<AuditRecord> for AuditRecordBody {
    fn from(record: AuditRecord) -> Self {
        Self {
            id: record.id.to_string(),
            action: record.action,
            actor: record.actor,
            request_id: record.request_id,
            target: record.target,
            event_id: record.event_id.map(|id| id.to_string()),
            decision: record.decision.map(DecisionKind::as_str),
            rule_id: record.rule_id.map(|id| id.to_string()),
            rule_version: record.rule_version,
            revision: record.revision,
            execution_id: record.execution_id.map(|id| id.to_string()),
            message: record.message,
            shadows: record.shadows,
            executed_at: timestamp::format(record.executed_at),
            chain: record.chain.to_string(),
            link: record.link,
            position: record.position,
        }
    }
}
