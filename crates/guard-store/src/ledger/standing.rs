//! What holds rules back, as the database has it.

use std::collections::HashMap;

use guard_app::ports::{Intake, StorageError};
use guard_domain::TenantId;

use super::asked::Asked;
use super::known::TenantState;
use crate::database::{Session, Sql};
use crate::row::moment;

/// The cooldown of each value that is asked about, and whether something of it waits to be delivered. Each is looked up by its
/// key: a join, or an `EXISTS`, may be planned as one walk through all that there are.
macro_rules! standing {
    ($place:literal, $asked:literal, $same_value:literal) => {
        concat!(
            "SELECT ", $place, " AS place,
                 (SELECT c.until FROM cooldowns c
                  WHERE c.tenant = m.value ->> 0 AND c.rule_id = m.value ->> 1 AND c.value = m.value ->> 2) AS until,
                 coalesce((SELECT true FROM rule_executions x
                           WHERE ", $same_value, " AND x.state IN ('queued', 'dispatching')
                             AND x.rollback_of IS NULL AND NOT x.dry_run
                           LIMIT 1), false) AS undelivered
             FROM ", $asked
        )
    };
}

/// Reads what holds the matching rules back: one statement, however many they are.
pub(super) async fn read_standing(
    session: &mut Session,
    intakes: &[Intake],
    tenants: &mut HashMap<TenantId, TenantState>,
) -> Result<(), StorageError> {
    let values = intakes.iter().flat_map(|intake| {
        let matches = intake.evaluation.matches.iter();
        matches
            .filter(|found| intake.rules.holds_back(found))
            .map(|found| {
                (
                    &intake.tenant,
                    &found.rule_id,
                    found.cooldown_value.as_str(),
                )
            })
    });
    let Some(asked) = Asked::about(values) else {
        return Ok(());
    };
    let rows = session
        .query(Sql {
            sqlite: standing!(
                "m.key",
                "json_each($1) m",
                "x.tenant = m.value ->> 0 AND x.rule_id = m.value ->> 1 AND x.cooldown_value = m.value ->> 2"
            ),
            postgres: standing!(
                "m.place - 1",
                "jsonb_array_elements($1::jsonb) WITH ORDINALITY m (value, place)",
                "x.tenant || '/' || x.rule_id || '/' || x.cooldown_value
                     = (m.value ->> 0) || '/' || (m.value ->> 1) || '/' || (m.value ->> 2)"
            ),
        })
        .bind(asked.to_json())
        .fetch_all()
        .await?;
    for row in rows {
        let Some((tenant, rule, value)) = asked.of(&row)? else {
            continue;
        };
        let Some(TenantState { standing, .. }) = tenants.get_mut(tenant) else {
            continue;
        };
        if let Some(until) = row.get::<Option<i64>>("until")? {
            standing.set_cooldown(rule.clone(), value.to_owned(), moment(until));
        }
        if row.get("undelivered")? {
            standing.set_undelivered(rule.clone(), value.to_owned());
        }
    }
    Ok(())
}
