//! Claiming one execution after the other, from SQLite.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use guard_app::ports::{ClaimRequest, StorageError};
use guard_domain::PlaybookName;
use serde_json::json;
use uuid::Uuid;

use super::lease_end;
use super::statements::{DUE, NOTE_ATTEMPT, PLAYBOOKS_DUE, TAKE};
use crate::database::{Row, Session};
use crate::row::micros;

/// Claims what is due of these playbooks.
pub(super) async fn take_in_turn(
    transaction: &mut Session,
    playbooks: &[String],
    request: &ClaimRequest,
    now: DateTime<Utc>,
) -> Result<Vec<Row>, StorageError> {
    let mut found = Vec::new();
    for playbook in playbooks {
        // A name that is none is of a damaged row, which is set aside later.
        let room = match PlaybookName::parse(playbook) {
            Ok(playbook) => request.room(&playbook),
            Err(_) => request.limit,
        };
        found.extend(due(transaction, playbook, room, now).await?);
    }
    found.sort_by_key(|one| (Reverse(one.severity), one.id));
    found.truncate(usize::try_from(request.limit).unwrap_or(usize::MAX));
    let mut taken = Vec::with_capacity(found.len());
    for one in &found {
        taken.push(take(transaction, one, request, now).await?);
    }
    Ok(taken)
}

/// The playbooks that have something due and may be delivered. It steps from playbook to playbook, however much waits of one.
pub(super) async fn playbooks_due(
    session: &mut Session,
    request: &ClaimRequest,
    now: DateTime<Utc>,
) -> Result<Vec<String>, StorageError> {
    let full: Vec<_> = request.full().map(PlaybookName::as_str).collect();
    let rows = session
        .query(PLAYBOOKS_DUE)
        .bind(micros(now))
        .bind(json!(full).to_string())
        .fetch_all()
        .await?;
    rows.iter().map(|row| row.get("playbook")).collect()
}

/// An execution that is due.
struct Due {
    severity: i64,
    tenant: String,
    id: Uuid,
}

/// What is due of a playbook: the most severe first, of equal ones the oldest.
async fn due(
    transaction: &mut Session,
    playbook: &str,
    limit: u32,
    now: DateTime<Utc>,
) -> Result<Vec<Due>, StorageError> {
    let rows = transaction
        .query(DUE)
        .bind(micros(now))
        .bind(playbook)
        .bind(i64::from(limit))
        .fetch_all()
        .await?;
    let due = rows.into_iter().map(|row| {
        Ok(Due {
            severity: row.get("severity_rank")?,
            tenant: row.get("tenant")?,
            id: row.get("execution_id")?,
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
) -> Result<Row, StorageError> {
    let row = transaction
        .query(TAKE)
        .bind(due.id)
        .bind(&request.instance)
        .bind(micros(lease_end(request, now)))
        .bind(&due.tenant)
        .fetch_one()
        .await?;
    transaction
        .query(NOTE_ATTEMPT)
        .bind(micros(now))
        .bind(&request.instance)
        .bind(&due.tenant)
        .bind(due.id)
        .execute()
        .await?;
    Ok(row)
}
