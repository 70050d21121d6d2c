//! The matches that windows count.

use std::collections::{HashMap, HashSet};

use guard_app::ports::{Intake, StorageError};
use guard_domain::TenantId;
use guard_policy::WindowCount;

use super::asked::Asked;
use super::known::TenantState;
use crate::database::{Insert, Session, Sql, insert};
use crate::row::{micros, moment, stored_value};

/// Reads the matches for the windows of the matching rules: one statement, however many they are.
pub(super) async fn read_matches(
    session: &mut Session,
    intakes: &[Intake],
    tenants: &mut HashMap<TenantId, TenantState>,
) -> Result<(), StorageError> {
    let values = intakes.iter().flat_map(|intake| {
        let evaluation = &intake.evaluation;
        let found = evaluation.matches.iter().chain(&evaluation.shadows);
        found.filter_map(|found| {
            let value = found.window_value.as_deref()?;
            Some((&intake.tenant, &found.rule_id, value))
        })
    });
    let Some(asked) = Asked::about(values) else {
        return Ok(());
    };
    let rows = session
        .query(Sql {
            // A cross join keeps its order: the other way round it would walk through all windows of the tenant.
            sqlite: "SELECT m.key AS place, w.at AS at FROM json_each($1) m
                     CROSS JOIN windows w ON w.tenant = m.value ->> 0 AND w.rule_id = m.value ->> 1
                         AND w.value = m.value ->> 2",
            // `OFFSET 0` keeps it from being planned as a join that reads all windows.
            postgres: "SELECT m.place - 1 AS place, w.at AS at
                       FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY m (value, place)
                       CROSS JOIN LATERAL (
                           SELECT w.at FROM windows w
                           WHERE w.tenant = m.value ->> 0 AND w.rule_id = m.value ->> 1 AND w.value = m.value ->> 2
                           OFFSET 0) w",
        })
        .bind(asked.to_json())
        .fetch_all()
        .await?;
    // That there are none is known then too.
    let mut moments: HashMap<_, _> = asked.values().map(|value| (value, Vec::new())).collect();
    for row in rows {
        let known = asked.of(&row)?.and_then(|value| moments.get_mut(&value));
        if let Some(known) = known {
            known.push(moment(row.get("at")?));
        }
    }
    for ((tenant, rule, value), moments) in moments {
        if let Some(TenantState { standing, .. }) = tenants.get_mut(tenant) {
            standing.set_matches(rule.clone(), value.to_owned(), moments);
        }
    }
    Ok(())
}

static INSERT_MATCHES: Insert = insert!(
    "windows (tenant, rule_id, value, at, event_id, until)",
    "(?, ?, ?, ?, ?, ?)",
    "$1::text[], $2::text[], $3::text[], $4::bigint[], $5::uuid[], $6::bigint[]",
    ""
);

/// Writes matches, and drops the oldest ones that a rule's count has no need of.
pub(super) async fn write_matches(
    session: &mut Session,
    matches: &[(&Intake, &WindowCount)],
) -> Result<(), StorageError> {
    let values: Vec<_> = matches
        .iter()
        .map(|(_, window)| stored_value(&window.value))
        .collect();
    let rows: Vec<_> = matches
        .iter()
        .zip(&values)
        .map(|((intake, window), value)| {
            [
                intake.tenant.as_str().into(),
                window.rule_id.as_str().into(),
                value.as_ref().into(),
                micros(window.at).into(),
                intake.event_id.as_uuid().into(),
                micros(window.until()).into(),
            ]
        })
        .collect();
    session.insert(&INSERT_MATCHES, &rows).await?;
    let mut trimmed = HashSet::new();
    for ((intake, window), value) in matches.iter().zip(&values) {
        if trimmed.insert((&intake.tenant, &window.rule_id, value)) {
            trim_matches(session, &intake.tenant, window, value).await?;
        }
    }
    Ok(())
}

async fn trim_matches(
    session: &mut Session,
    tenant: &TenantId,
    window: &WindowCount,
    value: &str,
) -> Result<(), StorageError> {
    session
        .query(
            "DELETE FROM windows
             WHERE tenant = $1 AND rule_id = $2 AND value = $3 AND (at, event_id) <=
                 (SELECT at, event_id FROM windows WHERE tenant = $1 AND rule_id = $2 AND value = $3
                  ORDER BY at DESC, event_id DESC LIMIT 1 OFFSET $4)",
        )
        .bind(tenant.as_str())
        .bind(window.rule_id.as_str())
        .bind(value)
        .bind(i64::from(window.count))
        .execute()
        .await
        .map(drop)
}
