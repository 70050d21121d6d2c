//! What rows of lists say.

use std::collections::HashMap;

use guard_app::ports::{EscalationRecord, EventRecord, StorageError};
use guard_domain::{
    Attempt, AttemptOutcome, ContactName, Escalation, EscalationId, EscalationReason, EventId,
    ExecutionId, RuleId, Severity, TenantId,
};
use uuid::Uuid;

use crate::database::{Row, Session};
use crate::notifications::notifications_between;
use crate::receipt::{decision, execution_brief};
use crate::row::Columns;

pub(super) fn event_record(row: &Row) -> Result<EventRecord, StorageError> {
    let columns = Columns::new(row, "events", "event_id");
    Ok(EventRecord {
        id: EventId::from_uuid(columns.get("event_id")?),
        body: columns.get("body")?,
        received_at: columns.moment("received_at")?,
        decision: decision(row)?,
        executed_at: columns.moment("executed_at")?,
        execution: execution_brief(row)?,
        attempts: columns.optional_unsigned("attempts")?.unwrap_or(0),
    })
}

pub(super) fn attempt(row: &Row) -> Result<Attempt, StorageError> {
    let columns = Columns::new(row, "execution_attempts", "execution_id");
    Ok(Attempt {
        number: columns.unsigned("attempt")?,
        started_at: columns.moment("started_at")?,
        finished_at: columns.optional_moment("finished_at")?,
        outcome: columns.parse_optional("outcome", AttemptOutcome::parse)?,
        status_code: columns.optional_unsigned("status_code")?,
        detail: columns.get("detail")?,
        answer: columns.get("answer")?,
        may_have_run: columns.get("may_have_run")?,
    })
}

pub(crate) fn escalation(row: &Row) -> Result<Escalation, StorageError> {
    let columns = Columns::new(row, "escalations", "escalation_id");
    Ok(Escalation {
        id: EscalationId::from_uuid(columns.get("escalation_id")?),
        reason: columns.parse("reason", EscalationReason::parse)?,
        contact: columns.parse("contact", ContactName::parse)?,
        severity: columns.parse("severity", Severity::parse)?,
        message: columns.get("message")?,
        event_id: columns
            .get::<Option<Uuid>>("event_id")?
            .map(EventId::from_uuid),
        execution_id: columns
            .get::<Option<Uuid>>("execution_id")?
            .map(ExecutionId::from_uuid),
        rule_id: columns.parse_optional("rule_id", RuleId::parse)?,
        created_at: columns.moment("created_at")?,
    })
}

/// Escalations, in descending order of their ids, with what was sent of each.
pub(super) async fn with_notifications(
    session: &mut Session,
    tenant: &TenantId,
    escalations: Vec<Escalation>,
) -> Result<Vec<EscalationRecord>, StorageError> {
    let (Some(newest), Some(oldest)) = (escalations.first(), escalations.last()) else {
        return Ok(Vec::new());
    };
    let mut found: HashMap<EscalationId, Vec<_>> = HashMap::new();
    for (id, notification) in notifications_between(session, tenant, oldest.id, newest.id).await? {
        found.entry(id).or_default().push(notification);
    }
    let record = |escalation: Escalation| EscalationRecord {
        notifications: found.remove(&escalation.id).unwrap_or_default(),
        escalation,
    };
    Ok(escalations.into_iter().map(record).collect())
}
