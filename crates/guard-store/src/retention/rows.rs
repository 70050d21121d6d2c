//! Deleting rows, a bounded number in one transaction.

use chrono::{DateTime, Utc};
use guard_app::ports::{Dropped, StorageError};
use guard_domain::id;
use uuid::Uuid;

use super::floor;
use crate::database::Session;
use crate::row::micros;
use crate::spans::span_of;
use crate::store::Store;

/// A table whose key is the tenant and an id.
#[derive(Clone, Copy)]
pub(super) struct Table {
    name: &'static str,
    /// Deletes of a tenant (`$1`) what is below an id (`$2`), so many rows at most (`$3`).
    delete: &'static str,
    /// Every tenant that has rows.
    tenants: &'static str,
}

macro_rules! table {
    ($name:literal, $id:literal, $key:literal) => {
        Table {
            name: $name,
            delete: concat!(
                "DELETE FROM ",
                $name,
                " WHERE tenant = $1 AND (",
                $key,
                ") IN
                     (SELECT ",
                $key,
                " FROM ",
                $name,
                " WHERE tenant = $1 AND ",
                $id,
                " < $2
                      ORDER BY ",
                $key,
                " LIMIT $3)"
            ),
            // A loose scan: one step in the index for each tenant.
            tenants: concat!(
                "WITH RECURSIVE tenants (tenant) AS (
                     SELECT (SELECT tenant FROM ",
                $name,
                " ORDER BY tenant LIMIT 1)
                     UNION ALL
                     SELECT (SELECT t.tenant FROM ",
                $name,
                " t WHERE t.tenant > tenants.tenant
                             ORDER BY t.tenant LIMIT 1)
                     FROM tenants WHERE tenants.tenant IS NOT NULL)
                 SELECT tenant FROM tenants WHERE tenant IS NOT NULL"
            ),
        }
    };
}

/// What PostgreSQL drops by days.
pub(super) const SQLITE: [Table; 2] = [
    table!("events", "event_id", "event_id"),
    table!("audit_log", "audit_id", "audit_id"),
];
pub(super) const EXECUTIONS: Table = table!("rule_executions", "execution_id", "execution_id");
/// The attempts go before their execution, the notifications before their escalation.
pub(super) const BOTH: [Table; 4] = [
    table!(
        "execution_attempts",
        "execution_id",
        "execution_id, attempt"
    ),
    EXECUTIONS,
    table!("notifications", "escalation_id", "escalation_id, channel"),
    table!("escalations", "escalation_id", "escalation_id"),
];

pub(super) async fn tenants(
    session: &mut Session,
    table: Table,
) -> Result<Vec<String>, StorageError> {
    let rows = session.query(table.tenants).fetch_all().await?;
    rows.iter().map(|row| row.get("tenant")).collect()
}

impl Store {
    /// Deletes rows of before a moment; whether the limit was reached.
    pub(super) async fn delete_rows(
        &self,
        table: Table,
        latest: DateTime<Utc>,
        limit: u32,
        dropped: &mut Dropped,
    ) -> Result<bool, StorageError> {
        let mut transaction = self.database.begin().await?;
        // What is redriven meanwhile keeps its event.
        let floor = id::v7_floor(floor(&mut transaction, latest).await?);
        let limit = u64::from(limit);
        let mut deleted = 0;
        for tenant in tenants(&mut transaction, table).await? {
            deleted += transaction
                .query(table.delete)
                .bind(tenant)
                .bind(floor)
                .bind(i64::try_from(limit - deleted).unwrap_or(0))
                .execute()
                .await?;
            if deleted >= limit {
                break;
            }
        }
        finish(transaction, deleted).await?;
        dropped.add(table.name, deleted);
        dropped.more |= deleted >= limit;
        Ok(deleted >= limit)
    }

    /// Deletes links of the audit chain whose records are gone, but of each chain that goes on the last: the hash that
    /// the first link that stays follows from.
    pub(super) async fn delete_links(
        &self,
        latest: DateTime<Utc>,
        limit: u32,
        dropped: &mut Dropped,
    ) -> Result<(), StorageError> {
        let mut transaction = self.database.begin().await?;
        let floor = floor(&mut transaction, latest).await?;
        let limit = u64::from(limit);
        let mut deleted = 0;
        for chain in chains(&mut transaction, floor).await? {
            let stays: Option<i64> = transaction
                .query(
                    "SELECT link FROM audit_links WHERE chain = $1 AND created_at >= $2
                     ORDER BY link LIMIT 1",
                )
                .bind(chain)
                .bind(micros(floor))
                .optional_scalar()
                .await?;
            deleted += transaction
                .query(
                    "DELETE FROM audit_links WHERE chain = $1 AND link IN
                         (SELECT link FROM audit_links WHERE chain = $1 AND link < $2 ORDER BY link LIMIT $3)",
                )
                .bind(chain)
                .bind(stays.map_or(i64::MAX, |stays| stays - 1))
                .bind(i64::try_from(limit - deleted).unwrap_or(0))
                .execute()
                .await?;
            if deleted >= limit {
                break;
            }
        }
        finish(transaction, deleted).await?;
        dropped.add("audit_links", deleted);
        dropped.more |= deleted >= limit;
        Ok(())
    }
}

/// What belongs to no tenant alone and is deleted by its time.
pub(super) struct Timed {
    name: &'static str,
    /// Deletes what is below a bound (`$1`), so many rows at most (`$2`).
    delete: &'static str,
    /// The bound of a moment.
    bound: fn(DateTime<Utc>) -> i64,
}

/// Where events are to be looked for.
pub(super) const SPANS: Timed = Timed {
    name: "event_spans",
    delete: "DELETE FROM event_spans WHERE (tenant, term, value, span, writer) IN
         (SELECT tenant, term, value, span, writer FROM event_spans WHERE span < $1 ORDER BY span LIMIT $2)",
    bound: |moment| span_of(id::v7_floor(moment)),
};

/// All but the last: the next follows from it.
pub(super) const CHECKPOINTS: Timed = Timed {
    name: "audit_checkpoints",
    delete: "DELETE FROM audit_checkpoints WHERE number IN
         (SELECT number FROM audit_checkpoints
          WHERE created_at < $1 AND number < (SELECT max(number) FROM audit_checkpoints)
          ORDER BY number LIMIT $2)",
    bound: micros,
};

impl Store {
    /// Deletes rows of before a moment.
    pub(super) async fn delete_timed(
        &self,
        table: &Timed,
        latest: DateTime<Utc>,
        limit: u32,
        dropped: &mut Dropped,
    ) -> Result<(), StorageError> {
        let mut transaction = self.database.begin().await?;
        let floor = floor(&mut transaction, latest).await?;
        let deleted = transaction
            .query(table.delete)
            .bind((table.bound)(floor))
            .bind(i64::from(limit))
            .execute()
            .await?;
        finish(transaction, deleted).await?;
        dropped.add(table.name, deleted);
        dropped.more |= deleted >= u64::from(limit);
        Ok(())
    }
}

async fn finish(transaction: Session, deleted: u64) -> Result<(), StorageError> {
    if deleted == 0 {
        return transaction.roll_back().await;
    }
    transaction.commit().await
}

/// The chains that began before a moment: one step in the index for each.
pub(crate) async fn chains(
    session: &mut Session,
    before: DateTime<Utc>,
) -> Result<Vec<Uuid>, StorageError> {
    let rows = session
        .query(
            "WITH RECURSIVE chains (chain) AS (
                 SELECT (SELECT chain FROM audit_links WHERE chain < $1 ORDER BY chain LIMIT 1)
                 UNION ALL
                 SELECT (SELECT l.chain FROM audit_links l WHERE l.chain > chains.chain AND l.chain < $1
                         ORDER BY l.chain LIMIT 1)
                 FROM chains WHERE chains.chain IS NOT NULL)
             SELECT chain FROM chains WHERE chain IS NOT NULL",
        )
        .bind(id::v7_floor(before))
        .fetch_all()
        .await?;
    rows.iter().map(|row| row.get("chain")).collect()
}
