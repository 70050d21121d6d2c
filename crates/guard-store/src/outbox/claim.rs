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
use crate::execution::execution;
use crate::row::{Columns, micros};
use crate::store::Store;
use statements::CLAIM;

impl Store {
    pub(crate) async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StorageError> {
        let taken = if self.database.is_shared() {
            self.take_at_once(request).await?
        } else {
            self.take_in_turn(request).await?
        };
        let mut claimed = Vec::with_capacity(taken.len());
        for row in &taken {
            match read_claimed(row) {
                Ok(one) => claimed.push(one),
                Err(error) => self.set_aside(row, error).await,
            }
        }
        claimed.sort_by_key(|one| (Reverse(one.execution.severity.rank()), one.execution.id));
        Ok(claimed)
    }

    async fn take_at_once(&self, request: &ClaimRequest) -> Result<Vec<Row>, StorageError> {
        let mut session = self.database.begin_single().await?;
        let now = self.clock.now();
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
        let taken = taken.map_err(|error| session.explain(error))?;
        session.commit().await?;
        Ok(taken)
    }

    /// Takes a damaged row, which was claimed, out of the way. If that fails, it is claimed again once its lease has ended.
    async fn set_aside(&self, row: &Row, error: StorageError) {
        let set_aside = async {
            let mut transaction = self.database.begin_routine().await?;
            quarantine(&mut transaction, row, error, self.clock.now()).await?;
            // Nothing was sent.
            transaction
                .query(
                    "DELETE FROM execution_attempts WHERE tenant = $1 AND execution_id = $2 AND attempt =
                         (SELECT x.attempts FROM rule_executions x WHERE x.tenant = $1 AND x.execution_id = $2)",
                )
                .bind(row.get::<String>("tenant")?)
                .bind(row.get::<Uuid>("execution_id")?)
                .execute()
                .await?;
            transaction.commit().await
        };
        if let Err(error) = set_aside.await {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "a damaged execution cannot be set aside");
        }
    }
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

/// What was claimed, of a row that has its event and what it undoes beside it.
fn read_claimed(row: &Row) -> Result<Claimed, StorageError> {
    let columns = Columns::new(row, "rule_executions", "execution_id");
    let execution = execution(row)?;
    let event: Option<String> = columns.get("event_body")?;
    let received_at = columns.optional_moment("event_received_at")?;
    let (Some(event), Some(received_at)) = (event, received_at) else {
        return Err(columns.wrong("event_id", "its event is gone".to_owned()));
    };
    // What it undoes may not be kept any more: then there is no data.
    let undoes = match execution.rollback_of {
        Some(execution_id) => Some(Undone {
            execution_id,
            data: columns.get("undone_data")?,
        }),
        None => None,
    };
    Ok(Claimed {
        tenant: columns.parse("tenant", TenantId::parse)?,
        epoch: columns.unsigned("epoch")?,
        params: columns.get("params")?,
        undoes,
        event,
        received_at,
        traceparent: columns.get("traceparent")?,
        unregistered_since: columns.optional_moment("unregistered_since")?,
        execution,
    })
}
