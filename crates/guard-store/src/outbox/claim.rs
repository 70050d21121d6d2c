//! Claiming what is due.
//!
//! PostgreSQL does it in one statement, which is a transaction of its own: its ways to and fro cost more than its work. SQLite, whose
//! ways are short, takes one execution after the other.

mod in_turn;
mod statements;

use std::cmp::Reverse;

use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{ClaimRequest, Claimed, StorageError, Undone};
use guard_domain::{ExecutionId, TenantId};
use serde_json::json;
use uuid::Uuid;

use crate::database::{Row, Session};
use crate::execution::{execution, read_row};
use crate::row::{Columns, micros};
use crate::store::Store;
use in_turn::{playbooks_due, take_in_turn};
use statements::CLAIM;

impl Store {
    pub(crate) async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StorageError> {
        let mut playbooks = Vec::new();
        if !self.database.is_shared() {
            // There is one writer, whom nobody keeps from its work to find that there is nothing to do.
            let mut reader = self.database.reader().await?;
            playbooks = playbooks_due(&mut reader, request, self.clock.now()).await?;
            if playbooks.is_empty() {
                return Ok(Vec::new());
            }
        }
        let mut session = self.database.begin_delivery().await?;
        let now = self.clock.now();
        let taken = if session.is_shared() {
            take_at_once(&mut session, request, now).await?
        } else {
            take_in_turn(&mut session, &playbooks, request, now).await?
        };
        let is_committed = !session.is_in_transaction();
        let mut claimed = Vec::with_capacity(taken.len());
        let mut damaged = Vec::new();
        for row in &taken {
            let mut read = read_claimed(&mut session, row).await;
            if is_committed && matches!(read, Err(StorageError::Unavailable(_))) {
                // If this ended here, what was claimed would wait for the end of its lease.
                session = self.database.reader().await?;
                read = read_claimed(&mut session, row).await;
            }
            match read {
                Ok(one) => claimed.push(one),
                Err(error @ StorageError::Inconsistent { .. }) => damaged.push((row, error)),
                Err(error) => return Err(error),
            }
        }
        session.commit().await?;
        if !damaged.is_empty()
            && let Err(error) = self.set_aside(damaged).await
        {
            // They are claimed again once their leases have ended.
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "damaged executions cannot be set aside");
        }
        claimed.sort_by_key(|one| (Reverse(one.execution.severity.rank()), one.execution.id));
        Ok(claimed)
    }

    /// Takes damaged rows, which were claimed, out of the way, unless their workflows have spoken or others have claimed them meanwhile.
    async fn set_aside(&self, damaged: Vec<(&Row, StorageError)>) -> Result<(), StorageError> {
        let mut transaction = self.database.begin_routine().await?;
        for (row, error) in damaged {
            let (tenant, id): (String, Uuid) = (row.get("tenant")?, row.get("execution_id")?);
            let held = transaction
                .query(
                    "UPDATE rule_executions SET lease_owner = NULL
                     WHERE tenant = $1 AND execution_id = $2 AND epoch = $3 AND state = 'dispatching'",
                )
                .bind(&tenant)
                .bind(id)
                .bind(row.get::<i64>("epoch")?)
                .execute()
                .await?;
            if held == 0 {
                continue;
            }
            quarantine(&mut transaction, row, error, self.clock.now()).await?;
            // Nothing was sent.
            transaction
                .query(
                    "DELETE FROM execution_attempts WHERE tenant = $1 AND execution_id = $2 AND attempt = $3",
                )
                .bind(&tenant)
                .bind(id)
                .bind(row.get::<i64>("attempts")?)
                .execute()
                .await?;
        }
        transaction.commit().await
    }
}

async fn take_at_once(
    session: &mut Session,
    request: &ClaimRequest,
    now: DateTime<Utc>,
) -> Result<Vec<Row>, StorageError> {
    let taken = session
        .query(CLAIM)
        .bind(micros(now))
        .bind(&request.instance)
        .bind(micros(lease_end(request, now)))
        .bind(json!(request.fewer_of).to_string())
        .bind(i64::from(request.of_each.min(request.limit)))
        .bind(i64::from(request.limit))
        .fetch_all()
        .await;
    taken.map_err(|error| session.explain(error))
}

fn lease_end(request: &ClaimRequest, now: DateTime<Utc>) -> DateTime<Utc> {
    now + TimeDelta::from_std(request.lease).unwrap_or(TimeDelta::MAX)
}

/// Takes a damaged row out of the way, so that it does not hold up the others.
pub(super) async fn quarantine(
    connection: &mut Session,
    row: &Row,
    error: StorageError,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let StorageError::Inconsistent { .. } = error else {
        return Err(error);
    };
    tracing::error!(
        error = &error as &dyn std::error::Error,
        "a damaged execution is set aside as dead"
    );
    connection
        .query(
            "UPDATE rule_executions SET state = 'dead', message = $3, finished_at = $4
         WHERE tenant = $1 AND execution_id = $2",
        )
        .bind(row.get::<String>("tenant")?)
        .bind(row.get::<Uuid>("execution_id")?)
        .bind(error.to_string())
        .bind(micros(now))
        .execute()
        .await?;
    Ok(())
}

/// Which execution a row is of.
pub(super) fn key(row: &Row) -> Result<(TenantId, ExecutionId), StorageError> {
    let columns = Columns::new(row, "rule_executions", "execution_id");
    let id: Uuid = columns.get("execution_id")?;
    Ok((
        columns.parse("tenant", TenantId::parse)?,
        ExecutionId::from_uuid(id),
    ))
}

/// What was claimed, of its row, with what belongs to it.
async fn read_claimed(session: &mut Session, row: &Row) -> Result<Claimed, StorageError> {
    let columns = Columns::new(row, "rule_executions", "execution_id");
    let tenant = columns.parse("tenant", TenantId::parse)?;
    let execution = execution(row)?;
    let event = session
        .query("SELECT event_id, body, received_at FROM events WHERE tenant = $1 AND event_id = $2")
        .bind(tenant.as_str())
        .bind(execution.event_id.as_uuid())
        .fetch_optional()
        .await?
        .ok_or_else(|| columns.wrong("event_id", "its event is gone".to_owned()))?;
    let event = Columns::new(&event, "events", "event_id");
    let undoes = match execution.rollback_of {
        Some(undone) => Some(undoes(session, &tenant, undone).await?),
        None => None,
    };
    Ok(Claimed {
        epoch: columns.unsigned("epoch")?,
        params: columns.get("params")?,
        undoes,
        event: event.get("body")?,
        received_at: event.moment("received_at")?,
        traceparent: columns.get("traceparent")?,
        unregistered_since: columns.optional_moment("unregistered_since")?,
        tenant,
        execution,
    })
}

/// What an execution is to undo. One that is not kept any more has no data.
async fn undoes(
    session: &mut Session,
    tenant: &TenantId,
    id: ExecutionId,
) -> Result<Undone, StorageError> {
    let row = read_row(session, tenant, id).await?;
    let data = row.map(|row| row.get("result_data")).transpose()?.flatten();
    Ok(Undone {
        execution_id: id,
        data,
    })
}
