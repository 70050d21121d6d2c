//! Claiming what is due.

use std::cmp::Reverse;

use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{ClaimRequest, Claimed, StorageError, Undone};
use guard_domain::{ExecutionId, PlaybookName, TenantId};
use serde_json::json;
use uuid::Uuid;

use crate::database::{Insert, Row, Session, Sql, insert};
use crate::error::unavailable;
use crate::execution::{execution, read_row};
use crate::row::{Columns, micros};
use crate::store::Store;

/// The playbooks with something due, but of those that the second parameter names: from each name to the next. It does not
/// ask about deadlines: then PostgreSQL might walk through the index of those.
macro_rules! playbooks_due {
    ($index:literal, $named:literal) => {
        concat!(
            "WITH RECURSIVE waiting (playbook) AS (
                 SELECT ''
                 UNION ALL
                 SELECT (SELECT x.playbook FROM rule_executions x ", $index, "
                         WHERE x.state IN ('queued', 'dispatching') AND x.playbook > w.playbook
                         ORDER BY x.playbook LIMIT 1)
                 FROM waiting w WHERE w.playbook IS NOT NULL
             )
             SELECT w.playbook FROM waiting w
             WHERE w.playbook NOT IN (SELECT ", $named, ")
               AND (SELECT true FROM rule_executions x ", $index, "
                    WHERE x.state IN ('queued', 'dispatching') AND x.playbook = w.playbook AND x.next_attempt_at <= $1
                    LIMIT 1)"
        )
    };
}

/// What is due of a playbook and not paused.
macro_rules! due {
    ($index:literal, $pauses:literal, $lock:literal) => {
        concat!(
            "SELECT x.tenant, x.execution_id, x.severity_rank FROM rule_executions x ", $index, "
             WHERE x.state IN ('queued', 'dispatching') AND x.playbook = $2
               AND x.next_attempt_at <= $1 AND x.deadline > $1
               AND NOT EXISTS (
                   SELECT 1 FROM control c, ", $pauses, " p
                   WHERE c.tenant = x.tenant
                     AND p.value ->> 'scope' IN ('all', 'rule:' || x.rule_id, 'playbook:' || x.playbook))
             ORDER BY x.severity_rank DESC, x.execution_id
             LIMIT $3 ", $lock
        )
    };
}

static INSERT_ATTEMPTS: Insert = insert!(
    "execution_attempts (tenant, execution_id, attempt, epoch, instance, started_at)",
    "(?, ?, ?, ?, ?, ?)",
    "$1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[]",
    ""
);

impl Store {
    pub(crate) async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StorageError> {
        // SQLite has one writer, whom nobody keeps from its work to find that there is nothing to do.
        let seen = if self.database.is_shared() {
            None
        } else {
            let mut reader = self.database.reader().await?;
            Some(playbooks_due(&mut reader, request, self.clock.now()).await?)
        };
        if seen.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let mut transaction = self.database.begin_routine().await?;
        let now = self.clock.now();
        let playbooks = match seen {
            Some(playbooks) => playbooks,
            None => playbooks_due(&mut transaction, request, now).await?,
        };
        let mut found = Vec::new();
        for playbook in &playbooks {
            // A name that is none is of a damaged row, which is set aside below.
            let room = match PlaybookName::parse(playbook) {
                Ok(playbook) => request.room(&playbook),
                Err(_) => request.limit,
            };
            found.extend(due(&mut transaction, playbook, room, now).await?);
        }
        found.sort_by_key(|one| (Reverse(one.severity), one.id));
        found.truncate(usize::try_from(request.limit).unwrap_or(usize::MAX));
        let mut claimed = Vec::with_capacity(found.len());
        for one in &found {
            match take(&mut transaction, one, request, now).await {
                Ok(taken) => claimed.push(taken),
                Err(error) => quarantine(&mut transaction, &one.row, error, now).await?,
            }
        }
        note_attempts(&mut transaction, &claimed, &request.instance, now).await?;
        if found.is_empty() {
            transaction.roll_back().await?;
        } else {
            transaction.commit().await?;
        }
        Ok(claimed)
    }
}

/// The playbooks that have something due and may be delivered. It steps from playbook to playbook, however much waits of one.
async fn playbooks_due(
    transaction: &mut Session,
    request: &ClaimRequest,
    now: DateTime<Utc>,
) -> Result<Vec<String>, StorageError> {
    let full: Vec<_> = request.full().map(PlaybookName::as_str).collect();
    let rows = transaction
        .query(Sql {
            sqlite: playbooks_due!("INDEXED BY rule_executions_due", "value FROM json_each($2)"),
            postgres: playbooks_due!("", "jsonb_array_elements_text($2::jsonb)"),
        })
        .bind(micros(now))
        .bind(json!(full).to_string())
        .fetch_all()
        .await?;
    rows.iter().map(|row| row.get("playbook")).collect()
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

/// An execution that is due.
struct Due {
    severity: i64,
    id: Uuid,
    row: Row,
}

/// What is due of a playbook: the most severe first, of equal ones the oldest. Other claims pass it over until the transaction
/// ends.
async fn due(
    transaction: &mut Session,
    playbook: &str,
    limit: u32,
    now: DateTime<Utc>,
) -> Result<Vec<Due>, StorageError> {
    let rows = transaction
        .query(Sql {
            sqlite: due!("INDEXED BY rule_executions_due", "json_each(c.pauses)", ""),
            postgres: due!(
                "",
                "jsonb_array_elements(c.pauses::jsonb)",
                "FOR UPDATE OF x SKIP LOCKED"
            ),
        })
        .bind(micros(now))
        .bind(playbook)
        .bind(i64::from(limit))
        .fetch_all()
        .await?;
    let due = rows.into_iter().map(|row| {
        Ok(Due {
            severity: row.get("severity_rank")?,
            id: row.get("execution_id")?,
            row,
        })
    });
    due.collect()
}

/// Claims an execution.
async fn take(
    transaction: &mut Session,
    due: &Due,
    request: &ClaimRequest,
    now: DateTime<Utc>,
) -> Result<Claimed, StorageError> {
    let (tenant, id) = key(&due.row)?;
    let lease = TimeDelta::from_std(request.lease).unwrap_or(TimeDelta::MAX);
    let row = transaction
        .query(
            "UPDATE rule_executions
             SET state = 'dispatching', epoch = epoch + 1, attempts = attempts + 1, lease_owner = $3, next_attempt_at = $4
             WHERE tenant = $1 AND execution_id = $2
             RETURNING *",
        )
        .bind(tenant.as_str())
        .bind(id.as_uuid())
        .bind(&request.instance)
        .bind(micros(now + lease))
        .fetch_optional()
        .await?
        .ok_or_else(|| unavailable(sqlx::Error::RowNotFound))?;
    let columns = Columns::new(&row, "rule_executions", "execution_id");
    let execution = execution(&row)?;
    let event = transaction
        .query("SELECT event_id, body, received_at FROM events WHERE tenant = $1 AND event_id = $2")
        .bind(tenant.as_str())
        .bind(execution.event_id.as_uuid())
        .fetch_optional()
        .await?
        .ok_or_else(|| columns.wrong("event_id", "its event is gone".to_owned()))?;
    let event = Columns::new(&event, "events", "event_id");
    let undoes = match execution.rollback_of {
        Some(undone) => Some(undoes(transaction, &tenant, undone).await?),
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

/// Notes that attempts begin: from here on they may have run.
async fn note_attempts(
    transaction: &mut Session,
    claimed: &[Claimed],
    instance: &str,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let rows: Vec<_> = claimed
        .iter()
        .map(|claimed| {
            [
                claimed.tenant.as_str().into(),
                claimed.execution.id.as_uuid().into(),
                i64::from(claimed.execution.attempts).into(),
                claimed.epoch.cast_signed().into(),
                instance.into(),
                micros(now).into(),
            ]
        })
        .collect();
    transaction.insert(&INSERT_ATTEMPTS, &rows).await
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
