//! The matches that windows count.

use guard_app::ports::{Intake, StorageError};
use guard_policy::{Match, StandingState, WindowCount};
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use crate::error::unavailable;
use crate::row::{micros, moment};
use crate::sqlite::stored_value;

/// Reads the matches for the windows of the matching rules that the batch does not know yet: one statement, however many
/// they are.
pub(super) async fn load_matches(
    connection: &mut SqliteConnection,
    intake: &Intake,
    standing: &mut StandingState,
) -> Result<(), StorageError> {
    let evaluation = &intake.evaluation;
    let found = evaluation.matches.iter().chain(&evaluation.shadows);
    let unknown: Vec<(&Match, &str)> = found
        .filter_map(|found| Some((found, found.window_value.as_deref()?)))
        .filter(|(found, value)| !standing.knows_matches(&found.rule_id, value))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = unknown
        .iter()
        .map(|(found, value)| (found.rule_id.as_str(), stored_value(value)))
        .collect();
    // A cross join keeps its order: the other way round it would walk through all windows of the tenant.
    let rows = sqlx::query(
        "SELECT m.key AS place, w.at AS at
         FROM json_each(?2) m
         CROSS JOIN windows w ON w.tenant = ?1 AND w.rule_id = m.value ->> 0 AND w.value = m.value ->> 1",
    )
    .bind(intake.tenant.as_str())
    .bind(serde_json::to_string(&keys).unwrap_or_else(|_| "[]".to_owned()))
    .fetch_all(connection)
    .await
    .map_err(unavailable)?;
    let mut moments = vec![Vec::new(); unknown.len()];
    for row in rows {
        let place: i64 = row.try_get("place").map_err(unavailable)?;
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        if let Some(moments) = moments.get_mut(place) {
            moments.push(moment(row.try_get("at").map_err(unavailable)?));
        }
    }
    for ((found, value), moments) in unknown.into_iter().zip(moments) {
        standing.set_matches(found.rule_id.clone(), value.to_owned(), moments);
    }
    Ok(())
}

/// Writes the matches of an event, and drops the oldest ones that a rule's count has no need of.
pub(super) async fn record_matches(
    connection: &mut SqliteConnection,
    intake: &Intake,
    windows: &[WindowCount],
) -> Result<(), StorageError> {
    let event = intake.event_id.as_uuid();
    for window in windows {
        insert_match(connection, intake.tenant.as_str(), event, window).await?;
        trim_matches(connection, intake.tenant.as_str(), window).await?;
    }
    Ok(())
}

async fn insert_match(
    connection: &mut SqliteConnection,
    tenant: &str,
    event: Uuid,
    window: &WindowCount,
) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO windows (tenant, rule_id, value, at, event_id, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .bind(tenant)
    .bind(window.rule_id.as_str())
    .bind(stored_value(&window.value))
    .bind(micros(window.at))
    .bind(event)
    .bind(micros(window.until()))
    .execute(connection)
    .await
    .map_err(unavailable)?;
    Ok(())
}

async fn trim_matches(
    connection: &mut SqliteConnection,
    tenant: &str,
    window: &WindowCount,
) -> Result<(), StorageError> {
    sqlx::query(
        "DELETE FROM windows
         WHERE tenant = ?1 AND rule_id = ?2 AND value = ?3 AND (at, event_id) <=
             (SELECT at, event_id FROM windows WHERE tenant = ?1 AND rule_id = ?2 AND value = ?3
              ORDER BY at DESC, event_id DESC LIMIT 1 OFFSET ?4)",
    )
    .bind(tenant)
    .bind(window.rule_id.as_str())
    .bind(stored_value(&window.value))
    .bind(window.count)
    .execute(connection)
    .await
    .map_err(unavailable)?;
    Ok(())
}
