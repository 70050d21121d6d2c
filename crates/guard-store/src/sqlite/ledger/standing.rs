//! What holds rules back, as the database has it.

use guard_app::ports::{Intake, StorageError};
use guard_policy::StandingState;
use sqlx::{Row, SqliteConnection};

use crate::error::unavailable;
use crate::row::moment;
use crate::sqlite::stored_value;

/// Reads what holds the matching rules back: one statement, however many they are.
pub(super) async fn load_standing(
    connection: &mut SqliteConnection,
    intake: &Intake,
    standing: &mut StandingState,
) -> Result<(), StorageError> {
    let matches = &intake.evaluation.matches;
    if matches.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = matches
        .iter()
        .map(|found| (found.rule_id.as_str(), stored_value(&found.cooldown_value)))
        .collect();
    let rows = sqlx::query(
        "SELECT m.key AS place, c.until AS until,
                EXISTS (SELECT 1 FROM rule_executions x
                        WHERE x.tenant = ?1 AND x.rule_id = m.value ->> 0 AND x.cooldown_value = m.value ->> 1
                          AND x.state IN ('queued', 'dispatching')) AS undelivered
         FROM json_each(?2) m
         LEFT JOIN cooldowns c ON c.tenant = ?1 AND c.rule_id = m.value ->> 0 AND c.value = m.value ->> 1",
    )
    .bind(intake.tenant.as_str())
    .bind(serde_json::to_string(&keys).unwrap_or_else(|_| "[]".to_owned()))
    .fetch_all(connection)
    .await
    .map_err(unavailable)?;
    for row in rows {
        let place: i64 = row.try_get("place").map_err(unavailable)?;
        let Some(found) = usize::try_from(place)
            .ok()
            .and_then(|place| matches.get(place))
        else {
            continue;
        };
        let until: Option<i64> = row.try_get("until").map_err(unavailable)?;
        if let Some(until) = until {
            let rule = found.rule_id.clone();
            standing.set_cooldown(rule, found.cooldown_value.clone(), moment(until));
        }
        if row.try_get::<bool, _>("undelivered").map_err(unavailable)? {
            standing.set_undelivered(found.rule_id.clone(), found.cooldown_value.clone());
        }
    }
    Ok(())
}
