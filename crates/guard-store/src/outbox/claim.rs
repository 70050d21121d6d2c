//! Claiming what is due, and ending what ran out of time.

use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{ClaimRequest, Claimed, Settled, StorageError, Undone};
use guard_domain::{ExecutionId, ExecutionState, PlaybookName, TenantId};
use uuid::Uuid;

use crate::database::{Row, Session, Sql};
use crate::error::unavailable;
use crate::execution::{execution, read, read_row};
use crate::row::{Columns, micros, moment};
use crate::store::Store;

impl Store {
    pub(crate) async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StorageError> {
        let mut transaction = self.database.begin().await?;
        let now = self.clock.now();
        let skip: Vec<_> = request.skip.iter().map(PlaybookName::as_str).collect();
        let skip = serde_json::to_string(&skip).unwrap_or_else(|_| "[]".to_owned());
        let due = transaction.query(Sql {
            sqlite: "SELECT x.tenant, x.execution_id FROM rule_executions x INDEXED BY rule_executions_due
             WHERE x.state IN ('queued', 'dispatching') AND x.next_attempt_at <= $1 AND x.deadline > $1
               AND x.playbook NOT IN (SELECT value FROM json_each($2))
               AND NOT EXISTS (
                   SELECT 1 FROM control c, json_each(c.pauses) p
                   WHERE c.tenant = x.tenant
                     AND p.value ->> 'scope' IN ('all', 'rule:' || x.rule_id, 'playbook:' || x.playbook))
             ORDER BY x.severity_rank DESC, x.execution_id
             LIMIT $3",
            postgres: "SELECT x.tenant, x.execution_id FROM rule_executions x
             WHERE x.state IN ('queued', 'dispatching') AND x.next_attempt_at <= $1 AND x.deadline > $1
               AND x.playbook NOT IN (SELECT jsonb_array_elements_text($2::jsonb))
               AND NOT EXISTS (
                   SELECT 1 FROM control c, jsonb_array_elements(c.pauses::jsonb) p
                   WHERE c.tenant = x.tenant
                     AND p.value ->> 'scope' IN ('all', 'rule:' || x.rule_id, 'playbook:' || x.playbook))
             ORDER BY x.severity_rank DESC, x.execution_id
             LIMIT $3
             FOR UPDATE OF x SKIP LOCKED",
        })
        .bind(micros(now))
        .bind(skip)
        .bind(i64::from(request.limit)).fetch_all().await?;
        let mut claimed = Vec::with_capacity(due.len());
        for row in &due {
            match take(&mut transaction, row, request, now).await {
                Ok(taken) => claimed.push(taken),
                Err(error) => quarantine(&mut transaction, row, error, now).await?,
            }
        }
        if due.is_empty() {
            transaction.roll_back().await?;
        } else {
            transaction.commit().await?;
        }
        Ok(claimed)
    }

    pub(crate) async fn expire_executions(&self, limit: u32) -> Result<Vec<Settled>, StorageError> {
        let now = self.clock.now();
        // Mostly none has, and then those who write are not kept waiting.
        let overdue: bool = self
            .database
            .reader()
            .await?
            .query(
                "SELECT EXISTS (SELECT 1 FROM rule_executions
                        WHERE state IN ('queued', 'dispatching') AND deadline <= $1)
             OR EXISTS (SELECT 1 FROM rule_executions
                        WHERE state IN ('acknowledged', 'started') AND confirm_by <= $1)",
            )
            .bind(micros(now))
            .scalar()
            .await?;
        if !overdue {
            return Ok(Vec::new());
        }
        let mut transaction = self.database.begin().await?;
        let now = self.clock.now();
        let due = transaction
            .query(Sql {
                sqlite: "SELECT tenant, execution_id FROM rule_executions
             WHERE state IN ('queued', 'dispatching') AND deadline <= $1
               AND (state = 'queued' OR next_attempt_at <= $1)
             UNION ALL
             SELECT tenant, execution_id FROM rule_executions
             WHERE state IN ('acknowledged', 'started') AND confirm_by <= $1
             LIMIT $2",
                postgres: "SELECT tenant, execution_id FROM rule_executions
             WHERE (state IN ('queued', 'dispatching') AND deadline <= $1
                    AND (state = 'queued' OR next_attempt_at <= $1))
                OR (state IN ('acknowledged', 'started') AND confirm_by <= $1)
             LIMIT $2
             FOR UPDATE SKIP LOCKED",
            })
            .bind(micros(now))
            .bind(i64::from(limit))
            .fetch_all()
            .await?;
        let mut expired = Vec::with_capacity(due.len());
        for row in &due {
            match self.expire_one(&mut transaction, row, now).await {
                Ok(settled) => expired.push(settled),
                Err(error) => quarantine(&mut transaction, row, error, now).await?,
            }
        }
        if due.is_empty() {
            transaction.roll_back().await?;
        } else {
            transaction.commit().await?;
        }
        Ok(expired)
    }

    async fn expire_one(
        &self,
        connection: &mut Session,
        row: &Row,
        now: DateTime<Utc>,
    ) -> Result<Settled, StorageError> {
        let (tenant, id) = key(row)?;
        let before = read(connection, &tenant, id).await?;
        let why = match (before.state, &before.message) {
            (ExecutionState::Acknowledged, _) => {
                "n8n took it, and no result was reported in time".to_owned()
            }
            (ExecutionState::Started, _) => {
                "the workflow began, and reported no result in time".to_owned()
            }
            (_, Some(message)) => format!("its deadline has passed; the last attempt: {message}"),
            (_, None) => "its deadline has passed".to_owned(),
        };
        let escalation = self
            .end_without_proof(connection, &tenant, &before, &why, now)
            .await?;
        let execution = read(connection, &tenant, id).await?;
        Ok(Settled {
            tenant,
            execution,
            ended: true,
            escalation,
        })
    }
}

/// Takes a damaged row out of the way, so that it does not hold up the others.
async fn quarantine(
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

fn key(row: &Row) -> Result<(TenantId, ExecutionId), StorageError> {
    let columns = Columns::new(row, "rule_executions", "execution_id");
    let id: Uuid = columns.get("execution_id")?;
    Ok((
        columns.parse("tenant", TenantId::parse)?,
        ExecutionId::from_uuid(id),
    ))
}

/// Claims one execution, and notes that an attempt begins: from here on it may have run.
async fn take(
    connection: &mut Session,
    row: &Row,
    request: &ClaimRequest,
    now: DateTime<Utc>,
) -> Result<Claimed, StorageError> {
    let (tenant, id) = key(row)?;
    let lease = TimeDelta::from_std(request.lease).unwrap_or(TimeDelta::MAX);
    connection.query(
        "UPDATE rule_executions
         SET state = 'dispatching', epoch = epoch + 1, attempts = attempts + 1, lease_owner = $3, next_attempt_at = $4
         WHERE tenant = $1 AND execution_id = $2",
    )
    .bind(tenant.as_str())
    .bind(id.as_uuid())
    .bind(&request.instance)
    .bind(micros(now + lease)).execute().await?;
    connection.query(
        "INSERT INTO execution_attempts (tenant, execution_id, attempt, epoch, instance, started_at)
         SELECT tenant, execution_id, attempts, epoch, $3, $4 FROM rule_executions
         WHERE tenant = $1 AND execution_id = $2",
    )
    .bind(tenant.as_str())
    .bind(id.as_uuid())
    .bind(&request.instance)
    .bind(micros(now)).execute().await?;
    let row = read_row(connection, &tenant, id)
        .await?
        .ok_or_else(|| unavailable(sqlx::Error::RowNotFound))?;
    let columns = Columns::new(&row, "rule_executions", "execution_id");
    let execution = execution(&row)?;
    let event = connection
        .query("SELECT body, received_at FROM events WHERE tenant = $1 AND event_id = $2")
        .bind(tenant.as_str())
        .bind(execution.event_id.as_uuid())
        .fetch_optional()
        .await?
        .ok_or_else(|| columns.wrong("event_id", "its event is gone".to_owned()))?;
    let undoes = match execution.rollback_of {
        Some(undone) => Some(undoes(connection, &tenant, undone).await?),
        None => None,
    };
    Ok(Claimed {
        epoch: columns.unsigned("epoch")?,
        params: columns.get("params")?,
        undoes,
        event: event.get("body")?,
        received_at: moment(event.get("received_at")?),
        traceparent: columns.get("traceparent")?,
        unregistered_since: columns.optional_moment("unregistered_since")?,
        tenant,
        execution,
    })
}

/// What an execution is to undo. One that is not kept any more has no data.
async fn undoes(
    connection: &mut Session,
    tenant: &TenantId,
    id: ExecutionId,
) -> Result<Undone, StorageError> {
    let row = read_row(connection, tenant, id).await?;
    let data = row.map(|row| row.get("result_data")).transpose()?.flatten();
    Ok(Undone {
        execution_id: id,
        data,
    })
}
