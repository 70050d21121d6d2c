//! The ends of links: which records are found by their place in a chain. The others lie between them, by their ids.

use std::collections::BTreeMap;

use guard_app::ports::StorageError;
use uuid::Uuid;

use super::AuditWriter;
use crate::database::{Row, Session};

/// The smallest and the greatest id of some records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) lowest: Uuid,
    pub(crate) highest: Uuid,
}

impl Ends {
    /// Adds one more record; the first one is both ends.
    pub(crate) fn reach(ends: Option<Self>, id: Uuid) -> Self {
        let Self { lowest, highest } = ends.unwrap_or(Self {
            lowest: id,
            highest: id,
        });
        Self {
            lowest: lowest.min(id),
            highest: highest.max(id),
        }
    }
}

impl AuditWriter<'_> {
    /// The ids of the records at the ends, of each tenant and each day: retention drops the days of PostgreSQL one by one, and what
    /// it leaves of a link is to be found too.
    pub(super) fn ends(&self) -> Vec<Uuid> {
        let mut ends = BTreeMap::new();
        for row in &self.rows {
            let place = (row.tenant, day(row.id));
            let reached = Ends::reach(ends.get(&place).copied(), row.id);
            ends.insert(place, reached);
        }
        let ids = |Ends { lowest, highest }| [lowest, highest];
        ends.into_values().flat_map(ids).collect()
    }
}

/// The day of an id, since 1970.
fn day(id: Uuid) -> u128 {
    const DAY: u128 = 24 * 60 * 60 * 1000;
    (id.as_u128() >> 80) / DAY
}

/// The records of a tenant in some links of a chain, after a place and up to a link, in their order: those between the ends of these
/// links, both included.
pub(crate) async fn records_between(
    session: &mut Session,
    tenant: &str,
    ends: Ends,
    chain: Uuid,
    after: (i64, i64),
    up_to: i64,
    limit: i64,
) -> Result<Vec<Row>, StorageError> {
    session
        .query(
            "SELECT * FROM audit_log
             WHERE tenant = $1 AND audit_id >= $2 AND audit_id <= $3 AND chain = $4 AND (link, position) > ($5, $6) AND link <= $7
             ORDER BY link, position LIMIT $8",
        )
        .bind(tenant)
        .bind(ends.lowest)
        .bind(ends.highest)
        .bind(chain)
        .bind(after.0)
        .bind(after.1)
        .bind(up_to)
        .bind(limit)
        .fetch_all()
        .await
}
