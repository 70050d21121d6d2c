//! Reading back what was decided about an event.

use guard_app::ports::{Consequence, ExecutionBrief, Receipt, StorageError};
use guard_domain::{
    Decision, DecisionKind, EventId, ExecutionId, ExecutionState, PlaybookName, RuleId, TenantId,
};
use uuid::Uuid;

use crate::archive::escalation;
use crate::database::{Row, Session, Sql};
use crate::row::Columns;

macro_rules! select_receipt {
    ($execution:literal) => {
        concat!(
            "SELECT a.event_id, a.decision, a.rule_id, a.rule_version, a.revision, a.message,
                 x.execution_id, x.playbook, x.state
             FROM audit_log a LEFT JOIN ",
            $execution,
            " WHERE a.tenant = $1 AND a.audit_id = $2 AND a.action = 'decision'"
        )
    };
}

/// The receipt of an event, with its execution as it stands now.
pub(crate) async fn read_receipt(
    connection: &mut Session,
    tenant: &TenantId,
    event_id: EventId,
) -> Result<Option<Receipt>, StorageError> {
    let row = connection
        .query(Sql {
            sqlite: select_receipt!(
                "rule_executions x ON x.tenant = a.tenant AND x.execution_id = a.execution_id"
            ),
            // `LIMIT` keeps it from being planned as a join that reads all executions of the tenant.
            postgres: select_receipt!(
                "LATERAL (
                     SELECT * FROM rule_executions x WHERE x.tenant = a.tenant AND x.execution_id = a.execution_id
                     LIMIT 1) x ON true"
            ),
        })
        .bind(tenant.as_str())
        .bind(event_id.as_uuid())
        .fetch_optional()
        .await?;
    row.map(|row| {
        Ok(Receipt {
            event_id,
            decision: decision(&row)?,
            execution: execution_brief(&row)?,
            consequence: Consequence::None,
        })
    })
    .transpose()
}

/// What the server is to do about a receipt whose commit it did not hear of.
pub(crate) async fn read_consequence(
    connection: &mut Session,
    tenant: &TenantId,
    receipt: &Receipt,
) -> Result<Consequence, StorageError> {
    if receipt
        .execution
        .as_ref()
        .is_some_and(|execution| execution.state.is_undelivered())
    {
        return Ok(Consequence::Dispatch);
    }
    let row = connection.query(
        "SELECT * FROM escalations WHERE tenant = $1 AND event_id = $2 AND execution_id IS NULL",
    )
    .bind(tenant.as_str())
    .bind(receipt.event_id.as_uuid()).fetch_optional().await?;
    let escalation = row.as_ref().map(escalation).transpose()?;
    Ok(escalation.map_or(Consequence::None, Consequence::Announce))
}

/// The decision of a row of `audit_log`.
pub(crate) fn decision(row: &Row) -> Result<Decision, StorageError> {
    let columns = Columns::new(row, "audit_log", "event_id");
    Ok(Decision {
        kind: columns.parse("decision", DecisionKind::parse)?,
        rule_id: columns.parse_optional("rule_id", RuleId::parse)?,
        rule_version: columns.optional_unsigned("rule_version")?,
        revision: columns.optional_unsigned("revision")?.unwrap_or(0),
        message: columns.get("message")?,
    })
}

/// The execution that was joined to a row, if there is one.
pub(crate) fn execution_brief(row: &Row) -> Result<Option<ExecutionBrief>, StorageError> {
    let columns = Columns::new(row, "rule_executions", "execution_id");
    let Some(id) = columns.get::<Option<Uuid>>("execution_id")? else {
        return Ok(None);
    };
    Ok(Some(ExecutionBrief {
        id: ExecutionId::from_uuid(id),
        playbook: columns.parse("playbook", PlaybookName::parse)?,
        state: columns.parse("state", ExecutionState::parse)?,
    }))
}
