//! Checkpoints of the audit trail.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{Checkpoints, OldLinks, StorageError};
use guard_audit::{Checkpoint, Head, SignedCheckpoint};
use tracing::instrument;
use uuid::Uuid;

use crate::database::{Row, Session};
use crate::retention::chains;
use crate::row::micros;
use crate::store::Store;

/// How much later than the events in it a commit is at most: retention goes by the ids of events, roots by the commits.
const SLOW_COMMIT: TimeDelta = TimeDelta::hours(1);

#[async_trait]
impl Checkpoints for Store {
    #[instrument(name = "db.checkpoint.heads", level = "debug", skip_all)]
    async fn heads(&self) -> Result<Vec<Head>, StorageError> {
        let mut session = self.database.reader().await?;
        let rows = session
            .query(
                // A loose scan: four steps in the index for each chain, however long. A join with the links may be planned as a walk
                // through all of them, above all while there are none.
                "WITH RECURSIVE chains (chain) AS (
                     SELECT (SELECT chain FROM audit_links ORDER BY chain LIMIT 1)
                     UNION ALL
                     SELECT (SELECT l.chain FROM audit_links l WHERE l.chain > chains.chain
                             ORDER BY l.chain LIMIT 1)
                     FROM chains WHERE chains.chain IS NOT NULL)
                 SELECT c.chain,
                     (SELECT l.link FROM audit_links l WHERE l.chain = c.chain ORDER BY l.link DESC LIMIT 1) AS link,
                     (SELECT l.hash FROM audit_links l WHERE l.chain = c.chain ORDER BY l.link DESC LIMIT 1) AS hash,
                     (SELECT l.created_at FROM audit_links l WHERE l.chain = c.chain
                      ORDER BY l.link DESC LIMIT 1) AS created_at
                 FROM chains c WHERE c.chain IS NOT NULL ORDER BY c.chain",
            )
            .fetch_all()
            .await?;
        rows.iter().map(head).collect()
    }

    #[instrument(name = "db.checkpoint.last", level = "debug", skip_all)]
    async fn last_checkpoint(&self) -> Result<Option<(u64, SignedCheckpoint)>, StorageError> {
        let mut session = self.database.reader().await?;
        let last = session
            .query("SELECT number, body, signature FROM audit_checkpoints ORDER BY number DESC LIMIT 1")
            .fetch_optional()
            .await?;
        let last = last.map(|row| Ok((number(&row)?, signed(&row)?)));
        last.transpose()
    }

    #[instrument(name = "db.checkpoint.append", level = "debug", skip_all)]
    async fn append_checkpoint(
        &self,
        checkpoint: &Checkpoint,
        signed: &SignedCheckpoint,
    ) -> Result<bool, StorageError> {
        let mut transaction = self.database.begin().await?;
        let written = transaction
            .query(
                "INSERT INTO audit_checkpoints (number, created_at, body, signature, floor)
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (number) DO NOTHING",
            )
            .bind(i64::try_from(checkpoint.number).unwrap_or(i64::MAX))
            .bind(checkpoint.time)
            .bind(signed.body.as_str())
            .bind(signed.signature.as_str())
            .bind(checkpoint.retention.as_ref().map(|kept| kept.floor))
            .execute()
            .await?;
        transaction.commit().await?;
        Ok(written == 1)
    }

    #[instrument(name = "db.checkpoint.old_links", level = "debug", skip_all)]
    async fn old_links(&self, floor: DateTime<Utc>) -> Result<Option<OldLinks>, StorageError> {
        let mut session = self.database.reader().await?;
        let signed: Option<i64> = session
            .query(
                "SELECT floor FROM audit_checkpoints WHERE floor IS NOT NULL
                 ORDER BY number DESC LIMIT 1",
            )
            .optional_scalar()
            .await?;
        if signed.is_some_and(|signed| signed >= micros(floor)) {
            return Ok(None);
        }
        let before = floor + SLOW_COMMIT;
        let mut roots = Vec::new();
        for chain in chains(&mut session, before).await? {
            roots.extend(last_before(&mut session, chain, micros(before)).await?);
        }
        if roots.is_empty() {
            return Ok(None);
        }
        let first: Option<i64> = session
            .query(
                "SELECT number FROM audit_checkpoints WHERE created_at >= $1
                 ORDER BY created_at, number LIMIT 1",
            )
            .bind(micros(floor))
            .optional_scalar()
            .await?;
        let first_checkpoint = first.and_then(|first| u64::try_from(first).ok());
        Ok(Some(OldLinks {
            roots,
            first_checkpoint,
        }))
    }
}

/// The last link of a chain that was written before a moment, looked for by halves: the links of a day are many.
async fn last_before(
    session: &mut Session,
    chain: Uuid,
    before: i64,
) -> Result<Option<Head>, StorageError> {
    const FIRST: &str = "SELECT chain, link, hash, created_at FROM audit_links
         WHERE chain = $1 AND link >= $2 ORDER BY link LIMIT 1";
    const LAST: &str = "SELECT chain, link, hash, created_at FROM audit_links
         WHERE chain = $1 AND link <= $2 ORDER BY link DESC LIMIT 1";
    let mut at = async |statement: &'static str, link: u64| {
        let link = i64::try_from(link).unwrap_or(i64::MAX);
        let query = session.query(statement).bind(chain).bind(link);
        let row = query.fetch_optional().await?;
        row.as_ref().map(head).transpose()
    };
    let (Some(mut low), Some(high)) = (at(FIRST, 0).await?, at(LAST, u64::MAX).await?) else {
        return Ok(None);
    };
    if high.at < before {
        return Ok(Some(high));
    }
    if low.at >= before {
        return Ok(None);
    }
    let mut above = high.link;
    while above - low.link > 1 {
        let middle = low.link + (above - low.link) / 2;
        match at(LAST, middle).await? {
            Some(found) if found.at < before && found.link > low.link => low = found,
            // It is after the moment, or there is a hole up to the middle.
            _ => above = middle,
        }
    }
    Ok(Some(low))
}

fn head(row: &Row) -> Result<Head, StorageError> {
    let hash: &[u8] = row.get("hash")?;
    Ok(Head {
        chain: row.get("chain")?,
        link: unsigned(row.get("link")?),
        // What has another length is no hash: nothing verifies against it.
        hash: hash.try_into().unwrap_or_default(),
        at: row.get("created_at")?,
    })
}

fn number(row: &Row) -> Result<u64, StorageError> {
    row.get("number").map(unsigned)
}

pub(crate) fn signed(row: &Row) -> Result<SignedCheckpoint, StorageError> {
    Ok(SignedCheckpoint {
        body: row.get("body")?,
        signature: row.get("signature")?,
    })
}

/// What is negative was never written.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
