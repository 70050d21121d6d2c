//! The links of one chain with their records, some at a time.

use std::collections::VecDeque;

use guard_app::ports::StorageError;
use guard_audit::{CanonicalRecord, Link, LinkRecord, hex};
use guard_domain::TenantId;
use uuid::Uuid;

use super::{hash_of, signed_number, unsigned};
use crate::audit::{Ends, records_between};
use crate::database::{Row, Session};
use crate::store::Store;

/// How many links are read at once, and how many records they may have.
const LINKS: i64 = 2000;
const RECORDS: u64 = 8000;

/// Where the reading of a chain has come to.
pub(super) struct ChainReader {
    /// The last link that was read.
    link: u64,
    ready: VecDeque<Link>,
}

impl ChainReader {
    /// Begins after a link.
    pub(super) fn from(link: u64) -> Self {
        Self {
            link,
            ready: VecDeque::new(),
        }
    }

    /// The next link, unless it is after `up_to`.
    pub(super) async fn next(
        &mut self,
        store: &Store,
        tenant: Option<&TenantId>,
        chain: Uuid,
        up_to: u64,
    ) -> Result<Option<Link>, StorageError> {
        if self.ready.is_empty() && self.link < up_to {
            self.read(store, tenant, chain).await?;
        }
        Ok(self.ready.pop_front_if(|link| link.link <= up_to))
    }

    async fn read(
        &mut self,
        store: &Store,
        tenant: Option<&TenantId>,
        chain: Uuid,
    ) -> Result<(), StorageError> {
        let mut session = store.database.reader().await?;
        let rows = session
            .query(
                "SELECT chain, link, previous, hash, records, created_at FROM audit_links
                 WHERE chain = $1 AND link > $2 ORDER BY link LIMIT $3",
            )
            .bind(chain)
            .bind(signed_number(self.link))
            .bind(LINKS)
            .fetch_all()
            .await?;
        let after = self.link;
        let mut count = 0;
        for row in &rows {
            let link = link(row)?;
            count += link.count;
            if count > RECORDS && !self.ready.is_empty() {
                break;
            }
            self.link = link.link;
            self.ready.push_back(link);
        }
        if self.ready.is_empty() {
            return Ok(());
        }
        for of in all_tenants(&mut session).await? {
            let ends = ends_of(&mut session, &of, chain, after, self.link).await?;
            let Some(ends) = ends else { continue };
            // All of the first link's positions are after -1.
            let (after, up_to) = ((signed_number(after + 1), -1), signed_number(self.link));
            let rows = records_between(&mut session, &of, ends, chain, after, up_to, i64::MAX);
            for row in &rows.await? {
                let number = unsigned(row.get("link")?);
                // A record whose link is not there shows by that.
                if let Ok(place) = self.ready.binary_search_by_key(&number, |link| link.link)
                    && let Some(link) = self.ready.get_mut(place)
                {
                    link.records.push(record(row, tenant)?);
                }
            }
        }
        for link in &mut self.ready {
            link.records.sort_by_key(|record| record.position);
        }
        Ok(())
    }
}

/// The ends of what a tenant has in links of a chain, after one and up to another.
async fn ends_of(
    session: &mut Session,
    tenant: &str,
    chain: Uuid,
    after: u64,
    up_to: u64,
) -> Result<Option<Ends>, StorageError> {
    let rows = session
        .query(
            "SELECT audit_id FROM audit_log
             WHERE tenant = $1 AND chain = $2 AND link > $3 AND link <= $4 AND inside IS NULL",
        )
        .bind(tenant)
        .bind(chain)
        .bind(signed_number(after))
        .bind(signed_number(up_to))
        .fetch_all()
        .await?;
    let mut ends = None;
    for row in &rows {
        ends = Some(Ends::reach(ends, row.get("audit_id")?));
    }
    Ok(ends)
}

/// Every tenant that has records: one step in the index for each.
pub(super) async fn all_tenants(session: &mut Session) -> Result<Vec<String>, StorageError> {
    let rows = session
        .query(
            "WITH RECURSIVE tenants (tenant) AS (
                 SELECT (SELECT tenant FROM audit_log ORDER BY tenant LIMIT 1)
                 UNION ALL
                 SELECT (SELECT l.tenant FROM audit_log l WHERE l.tenant > tenants.tenant
                         ORDER BY l.tenant LIMIT 1)
                 FROM tenants WHERE tenants.tenant IS NOT NULL)
             SELECT tenant FROM tenants WHERE tenant IS NOT NULL",
        )
        .fetch_all()
        .await?;
    rows.iter().map(|row| row.get("tenant")).collect()
}

/// Every chain: one step in the index for each.
pub(super) async fn all_chains(session: &mut Session) -> Result<Vec<Uuid>, StorageError> {
    let rows = session
        .query(
            "WITH RECURSIVE chains (chain) AS (
                 SELECT (SELECT chain FROM audit_links ORDER BY chain LIMIT 1)
                 UNION ALL
                 SELECT (SELECT l.chain FROM audit_links l WHERE l.chain > chains.chain
                         ORDER BY l.chain LIMIT 1)
                 FROM chains WHERE chains.chain IS NOT NULL)
             SELECT chain FROM chains WHERE chain IS NOT NULL",
        )
        .fetch_all()
        .await?;
    rows.iter().map(|row| row.get("chain")).collect()
}

pub(super) fn link(row: &Row) -> Result<Link, StorageError> {
    Ok(Link {
        chain: row.get("chain")?,
        link: unsigned(row.get("link")?),
        previous: hash_of(row.get("previous")?),
        hash: hash_of(row.get("hash")?),
        created_at: row.get("created_at")?,
        count: unsigned(row.get("records")?),
        records: Vec::new(),
    })
}

/// A record as it is stored, so that what was changed shows; in full if it is the tenant's.
pub(super) fn record(row: &Row, tenant: Option<&TenantId>) -> Result<LinkRecord, StorageError> {
    let position = unsigned(row.get("position")?);
    let hash = hash_of(row.get("hash")?);
    let whose: &str = row.get("tenant")?;
    if tenant.is_some_and(|tenant| tenant.as_str() != whose) {
        return Ok(LinkRecord {
            position,
            hash,
            record: None,
        });
    }
    let event_sha256: Option<&[u8]> = row.get("event_sha256")?;
    let event_sha256 = event_sha256.map(hex);
    let number = |column| row.get::<Option<i64>>(column);
    let canonical = CanonicalRecord {
        id: row.get("audit_id")?,
        tenant: whose,
        action: row.get("action")?,
        actor: row.get("actor")?,
        request_id: row.get("request_id")?,
        target: row.get("target")?,
        event_id: row.get("event_id")?,
        event_sha256: event_sha256.as_deref(),
        decision: row.get("decision")?,
        rule_id: row.get("rule_id")?,
        rule_version: number("rule_version")?
            .map(|version| u32::try_from(version).unwrap_or(u32::MAX)),
        revision: number("revision")?.map(|revision| u64::try_from(revision).unwrap_or(u64::MAX)),
        execution_id: row.get("execution_id")?,
        message: row.get("message")?,
        shadows: row.get("shadows")?,
        executed_at: row.get("executed_at")?,
    };
    Ok(LinkRecord {
        position,
        hash,
        record: Some(canonical.text()),
    })
}
