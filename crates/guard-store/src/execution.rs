//! Rows of executions.

use chrono::{DateTime, Utc};
use guard_app::ports::{StorageError, random_tail};
use guard_domain::{
    Escalation, EscalationId, EscalationReason, EventId, Execution, ExecutionId, ExecutionState,
    PlaybookName, RuleId, Severity, TenantId,
};
use uuid::Uuid;

use crate::database::{Row, Session, Sql};
use crate::row::{Columns, micros, text};
use crate::store::Store;

/// An execution of a row that has every column of `rule_executions`.
pub(crate) fn execution(row: &Row) -> Result<Execution, StorageError> {
    let columns = Columns::new(row, "rule_executions", "execution_id");
    let state = columns.parse("state", ExecutionState::parse)?;
    let due = columns.moment("next_attempt_at")?;
    Ok(Execution {
        id: ExecutionId::from_uuid(columns.get("execution_id")?),
        event_id: EventId::from_uuid(columns.get("event_id")?),
        rule_id: columns.parse("rule_id", RuleId::parse)?,
        rule_version: columns.unsigned("rule_version")?,
        playbook: columns.parse("playbook", PlaybookName::parse)?,
        severity: columns.parse("severity", Severity::parse)?,
        dry_run: columns.get("dry_run")?,
        state,
        attempts: columns.unsigned("attempts")?,
        message: columns.get("message")?,
        executed_at: columns.moment("executed_at")?,
        deadline: columns.moment("deadline")?,
        next_attempt_at: (state == ExecutionState::Queued).then_some(due),
        acknowledged_at: columns.optional_moment("acknowledged_at")?,
        started_at: columns.optional_moment("started_at")?,
        finished_at: columns.optional_moment("finished_at")?,
        n8n_execution_id: columns.get("n8n_execution_id")?,
        result_data: columns.get("result_data")?,
        redrive_of: columns
            .get::<Option<Uuid>>("redrive_of")?
            .map(ExecutionId::from_uuid),
        rollback_of: columns
            .get::<Option<Uuid>>("rollback_of")?
            .map(ExecutionId::from_uuid),
    })
}

/// The row of an execution.
pub(crate) async fn read_row(
    connection: &mut Session,
    tenant: &TenantId,
    id: ExecutionId,
) -> Result<Option<Row>, StorageError> {
    connection
        .query("SELECT * FROM rule_executions WHERE tenant = $1 AND execution_id = $2")
        .bind(tenant.as_str())
        .bind(id.as_uuid())
        .fetch_optional()
        .await
}

/// The row of an execution that the transaction is about to change: others who want to change it wait.
pub(crate) async fn lock_row(
    session: &mut Session,
    tenant: &TenantId,
    id: ExecutionId,
) -> Result<Option<Row>, StorageError> {
    session
        .query(Sql {
            sqlite: "SELECT * FROM rule_executions WHERE tenant = $1 AND execution_id = $2",
            postgres: "SELECT * FROM rule_executions WHERE tenant = $1 AND execution_id = $2 FOR UPDATE",
        })
        .bind(tenant.as_str())
        .bind(id.as_uuid())
        .fetch_optional()
        .await
}

/// The execution as it stands now; it must exist.
pub(crate) async fn read(
    connection: &mut Session,
    tenant: &TenantId,
    id: ExecutionId,
) -> Result<Execution, StorageError> {
    let row = read_row(connection, tenant, id).await?;
    row.as_ref()
        .map(execution)
        .transpose()?
        .ok_or_else(|| StorageError::Inconsistent {
            table: "rule_executions",
            column: "execution_id",
            key: id.to_string(),
            detail: "the row is gone".to_owned(),
        })
}

/// Puts an execution into a state, at a moment.
pub(crate) async fn set_state(
    connection: &mut Session,
    tenant: &TenantId,
    id: ExecutionId,
    state: ExecutionState,
    message: Option<&str>,
    finished_at: Option<DateTime<Utc>>,
) -> Result<(), StorageError> {
    connection.query(
        "UPDATE rule_executions SET state = $3, message = coalesce($4, message), finished_at = $5, lease_owner = NULL
         WHERE tenant = $1 AND execution_id = $2",
    )
    .bind(tenant.as_str())
    .bind(id.as_uuid())
    .bind(state.as_str())
    .bind(message.map(text))
    .bind(finished_at.map(micros)).execute().await?;
    Ok(())
}

/// Frees the cooldown that an execution claimed, if no attempt can have run and the cooldown still names it. Returns
/// whether an attempt may have run.
pub(crate) async fn release_unless_run(
    connection: &mut Session,
    tenant: &TenantId,
    id: ExecutionId,
) -> Result<bool, StorageError> {
    let may_have_run: bool = connection
        .query(
            "SELECT EXISTS (SELECT 1 FROM execution_attempts
                        WHERE tenant = $1 AND execution_id = $2 AND may_have_run)
             OR EXISTS (SELECT 1 FROM rule_executions
                        WHERE tenant = $1 AND execution_id = $2
                          AND (started_at IS NOT NULL OR acknowledged_at IS NOT NULL))",
        )
        .bind(tenant.as_str())
        .bind(id.as_uuid())
        .scalar()
        .await?;
    if !may_have_run {
        connection
            .query(
                "DELETE FROM cooldowns WHERE tenant = $1 AND claimed_by = $2 AND rule_id =
                 (SELECT rule_id FROM rule_executions WHERE tenant = $1 AND execution_id = $2)",
            )
            .bind(tenant.as_str())
            .bind(id.as_uuid())
            .execute()
            .await?;
    }
    Ok(may_have_run)
}

impl Store {
    /// Ends an execution without proof and calls a human: `dead` if no attempt can have run, else `unconfirmed`.
    pub(crate) async fn end_without_proof(
        &self,
        connection: &mut Session,
        tenant: &TenantId,
        execution: &Execution,
        why: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Escalation>, StorageError> {
        let may_have_run = release_unless_run(connection, tenant, execution.id).await?;
        let (state, reason, ending) = if may_have_run {
            let ending = "may have run, and reported no result";
            (
                ExecutionState::Unconfirmed,
                EscalationReason::Unconfirmed,
                ending,
            )
        } else {
            (
                ExecutionState::Dead,
                EscalationReason::Dead,
                "could not be delivered",
            )
        };
        set_state(
            connection,
            tenant,
            execution.id,
            state,
            Some(why),
            Some(now),
        )
        .await?;
        // Who orders a rehearsal looks at what comes of it; nobody is to be woken up for it.
        if execution.dry_run {
            return Ok(None);
        }
        let escalation = Escalation {
            id: EscalationId::new(now, random_tail(self.random.as_ref())),
            reason,
            contact: self.settings.default_contact.clone(),
            severity: execution.severity,
            message: format!("Playbook {} {ending}: {why}", execution.playbook),
            event_id: Some(execution.event_id),
            execution_id: Some(execution.id),
            rule_id: Some(execution.rule_id.clone()),
            created_at: now,
        };
        let first = self.raise(connection, tenant, &escalation).await?;
        Ok(first.then_some(escalation))
    }
}
