//! What holds rules back, as the database has it.

use guard_app::ports::{Intake, StorageError};
use guard_policy::StandingState;
use sqlx::{Row, SqliteConnection};

use crate::error::unavailable;
use crate::row::moment;
use crate::sqlite::stored_value;

/// Reads what holds the matching rules back.
pub(super) async fn load_standing(
    connection: &mut SqliteConnection,
    intake: &Intake,
    standing: &mut StandingState,
) -> Result<(), StorageError> {
    for found in &intake.evaluation.matches {
        let value = stored_value(&found.cooldown_value);
        let row = sqlx::query(
            "SELECT (SELECT until FROM cooldowns WHERE tenant = ?1 AND rule_id = ?2 AND value = ?3) AS until,
                    EXISTS (SELECT 1 FROM rule_executions WHERE tenant = ?1 AND rule_id = ?2 AND cooldown_value = ?3
                            AND state IN ('queued', 'dispatching')) AS undelivered",
        )
        .bind(intake.tenant.as_str())
        .bind(found.rule_id.as_str())
        .bind(&value)
        .fetch_one(&mut *connection)
        .await
        .map_err(unavailable)?;
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
