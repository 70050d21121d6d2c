//! Reading the audit trail.

use guard_app::ports::{AuditFilter, AuditPosition, AuditRecord, IdPage, StorageError};
use guard_domain::{AuditId, DecisionKind, EventId, ExecutionId, RuleId, TenantId};
use uuid::Uuid;

use super::{indexed, paged};
use crate::database::{Row, Sql};
use crate::row::Columns;
use crate::store::Store;

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
                 SELECT (SELECT chain FROM audit_log WHERE tenant = $1 ORDER BY chain LIMIT 1)
                 UNION ALL
                 SELECT (SELECT l.chain FROM audit_log l WHERE l.tenant = $1 AND l.chain > chains.chain
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
            let (link, place) = start.map_or((0, -1), |(link, place)| (link, i64::from(place)));
            let room = limit.saturating_sub(u32::try_from(records.len()).unwrap_or(u32::MAX));
            let rows = connection
                .query(
                    "SELECT * FROM audit_log
                 WHERE tenant = $1 AND chain = $2 AND (link, position) > ($3, $4)
                 ORDER BY link, position LIMIT $5",
                )
                .bind(tenant.as_str())
                .bind(chain)
                .bind(i64::try_from(link).unwrap_or(i64::MAX))
                .bind(place)
                .bind(i64::from(room))
                .fetch_all()
                .await?;
            let found = rows.iter().map(record).collect::<Result<Vec<_>, _>>()?;
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
