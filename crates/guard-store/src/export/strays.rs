//! Records that somebody has put beside the links: they say that they are of a link, and what is known of it does not lead to them.

use std::collections::{HashMap, VecDeque};

use guard_app::ports::StorageError;
use guard_audit::{GENESIS, Kept, Link};
use guard_domain::TenantId;
use uuid::Uuid;

use super::links::{all_tenants, link, record};
use super::{newest_root, signed_number, unsigned};
use crate::audit::Ends;
use crate::database::Session;
use crate::store::Store;

/// How many records are looked at at once.
const RECORDS: i64 = 5000;
/// Links that are further apart are asked for in a question of their own.
const GAP: u64 = 1000;

/// Where a record says that it is.
type Place = (Uuid, u64);

/// The way through all records.
pub(super) struct Strays {
    tenants: VecDeque<String>,
    /// The last record that was looked at.
    after: Uuid,
}

impl Strays {
    /// Begins with the first record of all.
    pub(super) async fn begin(store: &Store) -> Result<Self, StorageError> {
        let mut session = store.database.reader().await?;
        let tenants = all_tenants(&mut session).await?.into();
        Ok(Self {
            tenants,
            after: Uuid::nil(),
        })
    }

    /// The strays among the next records, each as one more link with it alone; `None` if there are no more records.
    pub(super) async fn next(
        &mut self,
        store: &Store,
        whose: Option<&TenantId>,
    ) -> Result<Option<Vec<Link>>, StorageError> {
        let Some(tenant) = self.tenants.front() else {
            return Ok(None);
        };
        let mut session = store.database.reader().await?;
        let rows = session
            .query(
                "SELECT audit_id, chain, link FROM audit_log WHERE tenant = $1 AND audit_id > $2
                 ORDER BY audit_id LIMIT $3",
            )
            .bind(tenant.as_str())
            .bind(self.after)
            .bind(RECORDS)
            .fetch_all()
            .await?;
        let mut page: Vec<(Place, Uuid)> = Vec::with_capacity(rows.len());
        for row in &rows {
            page.push((
                (row.get("chain")?, unsigned(row.get("link")?)),
                row.get("audit_id")?,
            ));
        }
        let Some((_, last)) = page.last().copied() else {
            self.tenants.pop_front();
            self.after = Uuid::nil();
            return Ok(Some(Vec::new()));
        };
        page.sort_unstable();
        let mut ends = HashMap::new();
        let near = |(one, _): &(Place, Uuid), (next, _): &(Place, Uuid)| {
            one.0 == next.0 && next.1 - one.1 <= GAP
        };
        for run in page.chunk_by(near) {
            if let (Some((first, _)), Some((last, _))) = (run.first(), run.last()) {
                read_ends(&mut session, tenant, *first, last.1, &mut ends).await?;
            }
        }
        page.retain(|(place, id)| {
            let ends: Option<&Ends> = ends.get(place);
            !ends.is_some_and(|ends| (ends.lowest..=ends.highest).contains(id))
        });
        let mut strays = Vec::new();
        if !page.is_empty() {
            let kept = kept(&mut session).await?;
            page.retain(|(place, id)| !kept.as_ref().is_some_and(|kept| may_go(kept, *place, *id)));
        }
        for (place, id) in page {
            strays.extend(stray(&mut session, tenant, place, id, whose).await?);
        }
        self.after = last;
        Ok(Some(strays))
    }
}

/// Reads the ends of a tenant's links of a chain, from one to another, of those that are there.
async fn read_ends(
    session: &mut Session,
    tenant: &str,
    (chain, first): Place,
    last: u64,
    ends: &mut HashMap<Place, Ends>,
) -> Result<(), StorageError> {
    let rows = session
        .query(
            "SELECT l.link, a.audit_id FROM audit_links l
             JOIN audit_log a ON a.tenant = $1 AND a.chain = l.chain AND a.link = l.link AND a.inside IS NULL
             WHERE l.chain = $2 AND l.link >= $3 AND l.link <= $4",
        )
        .bind(tenant)
        .bind(chain)
        .bind(signed_number(first))
        .bind(signed_number(last))
        .fetch_all()
        .await?;
    for row in &rows {
        let place = (chain, unsigned(row.get("link")?));
        let reached = Ends::reach(ends.get(&place).copied(), row.get("audit_id")?);
        ends.insert(place, reached);
    }
    Ok(())
}

/// What retention has let go of.
async fn kept(session: &mut Session) -> Result<Option<Kept>, StorageError> {
    let root = newest_root(session).await?;
    // One that cannot be read is found by whoever verifies it.
    Ok(root.and_then(|root| root.read().ok()?.retention))
}

/// Whether retention may have begun to drop a record or its link.
fn may_go(kept: &Kept, (chain, link): Place, id: Uuid) -> bool {
    let micros = i64::try_from(id.as_u128() >> 80).map(|millis| millis.saturating_mul(1000));
    micros.is_ok_and(|micros| micros < kept.floor)
        || kept
            .roots
            .iter()
            .any(|root| root.chain == chain && link <= root.link)
}

/// A stray as a link, unless it is gone.
async fn stray(
    session: &mut Session,
    tenant: &str,
    (chain, number): Place,
    id: Uuid,
    whose: Option<&TenantId>,
) -> Result<Option<Link>, StorageError> {
    let row = session
        .query("SELECT * FROM audit_log WHERE tenant = $1 AND audit_id = $2")
        .bind(tenant)
        .bind(id)
        .fetch_optional()
        .await?;
    let Some(row) = row else { return Ok(None) };
    let of = session
        .query(
            "SELECT chain, link, previous, hash, records, created_at FROM audit_links
             WHERE chain = $1 AND link = $2",
        )
        .bind(chain)
        .bind(signed_number(number))
        .fetch_optional()
        .await?;
    let made_up = Link {
        chain,
        link: number,
        previous: GENESIS,
        hash: GENESIS,
        created_at: row.get("executed_at")?,
        count: 0,
        records: Vec::new(),
    };
    let of = of.as_ref().map(link).transpose()?.unwrap_or(made_up);
    Ok(Some(Link {
        records: vec![record(&row, whose)?],
        ..of
    }))
}
