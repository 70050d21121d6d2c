//! Reading the audit trail.

use guard_app::ports::{AuditFilter, AuditPosition, AuditRecord, IdPage, StorageError};
use guard_domain::{AuditId, DecisionKind, EventId, ExecutionId, RuleId, TenantId};
use uuid::Uuid;

use super::{indexed, paged};
use crate::audit::{Ends, records_between};
use crate::database::{Row, Session, Sql};
use crate::row::Columns;
use crate::store::Store;

/// Of how many links the records are read at once.
const LINKS: usize = 64;
/// How many ends of links are looked at for that: more than one link has records, since each of an older one is an end.
const ENTRIES: usize = 1024;

macro_rules! select_audit {
    ($index:literal, $filter:literal) => {
        indexed!(
            "SELECT * FROM audit_log",
            $index,
            concat!(
                "WHERE tenant = $1 AND audit_id >= $2 AND audit_id < $3 AND ",
                $filter,
                " ORDER BY audit_id DESC LIMIT $4"
            )
        )
    };
}

impl Store {
    pub(super) async fn audit_page(
        &self,
        tenant: &TenantId,
        filter: &AuditFilter,
        page: IdPage,
    ) -> Result<Vec<AuditRecord>, StorageError> {
        let statement = match filter {
            AuditFilter {
                event_id: Some(_), ..
            } => select_audit!("", "audit_id = $5 AND ($6 IS NULL OR rule_id = $6)"),
            AuditFilter {
                rule_id: Some(_), ..
            } => select_audit!(
                "INDEXED BY audit_log_by_rule",
                "$5 IS NULL AND rule_id = $6"
            ),
            _ => select_audit!("", "$5 IS NULL AND $6 IS NULL"),
        };
        let mut session = self.database.reader_for(tenant).await?;
        let rows = paged(
            &mut session,
            statement,
            tenant,
            page,
            filter.since,
            filter.until,
        )
        .bind(filter.event_id.map(|id| id.as_uuid()))
        .bind(filter.rule_id.as_ref().map(RuleId::as_str))
        .fetch_all()
        .await?;
        rows.iter().map(record).collect()
    }

    /// Chains are read in the order in which they began. A chain without records of the tenant needs no position, and one
    /// that retention has dropped loses its.
    pub(super) async fn audit_walk(
        &self,
        tenant: &TenantId,
        position: &AuditPosition,
        limit: u32,
    ) -> Result<(Vec<AuditRecord>, AuditPosition), StorageError> {
        let mut connection = self.database.reader_for(tenant).await?;
        let chains =
            connection.query(
            // A loose scan: one step in the index for each chain.
            "WITH RECURSIVE chains (chain) AS (
                 SELECT (SELECT chain FROM audit_log WHERE tenant = $1 AND inside IS NULL ORDER BY chain LIMIT 1)
                 UNION ALL
                 SELECT (SELECT l.chain FROM audit_log l WHERE l.tenant = $1 AND l.inside IS NULL AND l.chain > chains.chain
                         ORDER BY l.chain LIMIT 1)
                 FROM chains WHERE chains.chain IS NOT NULL)
             SELECT chain FROM chains WHERE chain IS NOT NULL",
        )
                .bind(tenant.as_str()).fetch_all().await?;
        let mut records = Vec::new();
        let mut reached = AuditPosition::new();
        for row in &chains {
            let chain: Uuid = row.get("chain")?;
            let start = position.get(&chain).copied();
            let room = limit.saturating_sub(u32::try_from(records.len()).unwrap_or(u32::MAX));
            let found = chain_after(&mut connection, tenant, chain, start, room).await?;
            let last = found
                .last()
                .map(|record| (record.link, record.position))
                .or(start);
            reached.extend(last.map(|last| (chain, last)));
            records.extend(found);
        }
        Ok((records, reached))
    }
}

/// The records of a tenant in a chain after a place, in their order.
async fn chain_after(
    session: &mut Session,
    tenant: &TenantId,
    chain: Uuid,
    start: Option<(u64, u32)>,
    limit: u32,
) -> Result<Vec<AuditRecord>, StorageError> {
    let mut after = start.map_or((0, -1), |(link, place)| {
        (i64::try_from(link).unwrap_or(i64::MAX), i64::from(place))
    });
    let mut found = Vec::new();
    let limit = limit as usize;
    while found.len() < limit {
        let Some((ends, up_to)) = ends_from(session, tenant, chain, after.0).await? else {
            break;
        };
        let room = i64::try_from(limit - found.len()).unwrap_or(i64::MAX);
        let tenant = tenant.as_str();
        let rows = records_between(session, tenant, ends, chain, after, up_to, room).await?;
        for row in &rows {
            found.push(record(row)?);
        }
        // All positions of the next link are after -1.
        after = (up_to.saturating_add(1), -1);
    }
    Ok(found)
}

/// The ends of what a tenant has in the next links of a chain, from one on, and the last of these links; `None` if there is nothing.
async fn ends_from(
    session: &mut Session,
    tenant: &TenantId,
    chain: Uuid,
    link: i64,
) -> Result<Option<(Ends, i64)>, StorageError> {
    let rows = session
        .query(
            "SELECT link, audit_id FROM audit_log
             WHERE tenant = $1 AND chain = $2 AND link >= $3 AND inside IS NULL
             ORDER BY link, audit_id LIMIT $4",
        )
        .bind(tenant.as_str())
        .bind(chain)
        .bind(link)
        .bind(i64::try_from(ENTRIES).unwrap_or(i64::MAX))
        .fetch_all()
        .await?;
    let entries: Result<Vec<(i64, Uuid)>, StorageError> = rows
        .iter()
        .map(|row| Ok((row.get("link")?, row.get("audit_id")?)))
        .collect();
    let entries = entries?;
    let mut links = entries.chunk_by(|(one, _), (next, _)| one == next);
    if entries.len() == ENTRIES
        && entries.first().map(|first| first.0) != entries.last().map(|last| last.0)
    {
        // There may be more of the last one.
        links.next_back();
    }
    let mut reached = None;
    for &(link, id) in links.take(LINKS).flatten() {
        let ends = reached.map(|(ends, _)| ends);
        reached = Some((Ends::reach(ends, id), link));
    }
    Ok(reached)
}

fn record(row: &Row) -> Result<AuditRecord, StorageError> {
    let columns = Columns::new(row, "audit_log", "audit_id");
    let shadows: &str = columns.get("shadows")?;
    Ok(AuditRecord {
        id: AuditId::from_uuid(columns.get("audit_id")?),
        chain: columns.get("chain")?,
        link: columns.unsigned("link")?,
        position: columns.unsigned("position")?,
        action: columns.get("action")?,
        actor: columns.get("actor")?,
        request_id: columns.get("request_id")?,
        target: columns.get("target")?,
        event_id: columns
            .get::<Option<Uuid>>("event_id")?
            .map(EventId::from_uuid),
        decision: columns.parse_optional("decision", DecisionKind::parse)?,
        rule_id: columns.parse_optional("rule_id", RuleId::parse)?,
        rule_version: columns.optional_unsigned("rule_version")?,
        revision: columns.optional_unsigned("revision")?,
        execution_id: columns
            .get::<Option<Uuid>>("execution_id")?
            .map(ExecutionId::from_uuid),
        message: columns.get("message")?,
        shadows: serde_json::from_str(shadows)
            .map_err(|error| columns.wrong("shadows", error.to_string()))?,
        executed_at: columns.moment("executed_at")?,
    })
}
