//! Writing the audit trail.

use chrono::{DateTime, Utc};
use guard_app::ports::{Clock, Random, StorageError, random_tail};
use guard_domain::{AuditId, Decision, EventId, ExecutionId, RuleId, TenantId, id};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::SqliteStore;
use crate::chain::{CanonicalRecord, GENESIS, hex, link_hash};
use crate::error::unavailable;
use crate::row::micros;

/// The head of this process's chain.
#[derive(Debug)]
pub(super) struct Chain {
    id: Uuid,
    link: i64,
    hash: [u8; 32],
    /// A commit is under way, or its outcome was never heard: the head is then not known.
    uncertain: bool,
}

impl Chain {
    /// A new chain.
    pub(super) fn begin(clock: &dyn Clock, random: &dyn Random) -> Self {
        let id = id::v7(clock.now(), random_tail(random));
        Self {
            id,
            link: 0,
            hash: GENESIS,
            uncertain: false,
        }
    }

    /// The transaction with this link has been committed.
    pub(super) fn advance(&mut self, head: Head) {
        self.link = head.link;
        self.hash = head.hash;
        self.uncertain = false;
    }
}

/// What becomes the head of the chain when its transaction is committed.
#[derive(Clone, Copy)]
pub(super) struct Head {
    link: i64,
    hash: [u8; 32],
}

/// A record to write.
pub(super) struct Record<'a> {
    pub(super) tenant: &'a TenantId,
    pub(super) action: &'a str,
    pub(super) actor: &'a str,
    pub(super) request_id: Option<&'a str>,
    pub(super) target: Option<String>,
    pub(super) subject: Subject<'a>,
    pub(super) message: &'a str,
}

/// What a record is about, beside the act itself.
#[derive(Default)]
pub(super) struct Subject<'a> {
    pub(super) event: Option<(EventId, [u8; 32])>,
    pub(super) decision: Option<&'a Decision>,
    pub(super) execution_id: Option<ExecutionId>,
    pub(super) shadows: &'a [RuleId],
}

impl AuditWriter {
    /// How many records were written.
    pub(super) const fn count(&self) -> usize {
        self.hashes.len()
    }
}

/// The records of one transaction.
pub(super) struct AuditWriter {
    chain: Uuid,
    link: i64,
    previous: [u8; 32],
    now: DateTime<Utc>,
    hashes: Vec<[u8; 32]>,
}

impl SqliteStore {
    /// Begins the records of a transaction.
    pub(super) fn audit(&self, chain: &mut Chain, now: DateTime<Utc>) -> AuditWriter {
        if chain.uncertain {
            *chain = Chain::begin(self.clock.as_ref(), self.random.as_ref());
        }
        AuditWriter {
            chain: chain.id,
            link: chain.link + 1,
            previous: chain.hash,
            now,
            hashes: Vec::new(),
        }
    }

    /// Writes one record. `decided` is the decision it is about.
    pub(super) async fn write_record(
        &self,
        connection: &mut SqliteConnection,
        writer: &mut AuditWriter,
        record: Record<'_>,
    ) -> Result<(), StorageError> {
        let tail = id::counted(writer.hashes.len(), random_tail(self.random.as_ref()));
        let id = AuditId::new(writer.now, tail);
        let Subject {
            event,
            decision,
            execution_id,
            shadows,
        } = record.subject;
        let event_sha256 = event.map(|(_, digest)| hex(&digest));
        let shadows = serde_json::to_string(shadows).unwrap_or_else(|_| "[]".to_owned());
        let canonical = CanonicalRecord {
            id,
            tenant: record.tenant.as_str(),
            action: record.action,
            actor: record.actor,
            request_id: record.request_id,
            target: record.target.as_deref(),
            event_id: event.map(|(id, _)| id),
            event_sha256: event_sha256.as_deref(),
            decision: decision.map(|decision| decision.kind.as_str()),
            rule_id: decision
                .and_then(|decision| decision.rule_id.as_ref())
                .map(RuleId::as_str),
            rule_version: decision.and_then(|decision| decision.rule_version),
            revision: decision.map(|decision| decision.revision),
            execution_id,
            message: record.message,
            shadows: &shadows,
            executed_at: micros(writer.now),
        };
        let hash = canonical.hash();
        let position = i64::try_from(writer.hashes.len()).unwrap_or(i64::MAX);
        sqlx::query(
            "INSERT INTO audit_log (tenant, audit_id, chain, link, position, action, actor, request_id, target,
                 event_id, event_sha256, decision, rule_id, rule_version, revision, execution_id, message, shadows,
                 executed_at, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
        )
        .bind(canonical.tenant)
        .bind(id.as_uuid())
        .bind(writer.chain)
        .bind(writer.link)
        .bind(position)
        .bind(canonical.action)
        .bind(canonical.actor)
        .bind(canonical.request_id)
        .bind(canonical.target)
        .bind(canonical.event_id.map(|id| id.as_uuid()))
        .bind(event.map(|(_, digest)| digest.to_vec()))
        .bind(canonical.decision)
        .bind(canonical.rule_id)
        .bind(canonical.rule_version)
        .bind(canonical.revision.map(|revision| i64::try_from(revision).unwrap_or(i64::MAX)))
        .bind(canonical.execution_id.map(|id| id.as_uuid()))
        .bind(canonical.message)
        .bind(canonical.shadows)
        .bind(canonical.executed_at)
        .bind(hash.to_vec())
        .execute(&mut *connection)
        .await
        .map_err(unavailable)?;
        writer.hashes.push(hash);
        Ok(())
    }

    /// Writes the link of the records. The chain's head is uncertain until [`Chain::advance`] says otherwise.
    pub(super) async fn seal(
        &self,
        connection: &mut SqliteConnection,
        chain: &mut Chain,
        writer: AuditWriter,
    ) -> Result<Head, StorageError> {
        let hash = link_hash(&writer.previous, &writer.hashes);
        sqlx::query(
            "INSERT INTO audit_links (chain, link, previous, hash, records, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(writer.chain)
        .bind(writer.link)
        .bind(writer.previous.to_vec())
        .bind(hash.to_vec())
        .bind(i64::try_from(writer.hashes.len()).unwrap_or(i64::MAX))
        .bind(micros(writer.now))
        .execute(connection)
        .await
        .map_err(unavailable)?;
        chain.uncertain = true;
        Ok(Head {
            link: writer.link,
            hash,
        })
    }
}

impl SqliteStore {
    /// Writes the record of an act that has a transaction of its own, and its link.
    pub(super) async fn write_act(
        &self,
        connection: &mut SqliteConnection,
        chain: &mut Chain,
        record: Record<'_>,
    ) -> Result<Head, StorageError> {
        let mut writer = self.audit(chain, self.clock.now());
        self.write_record(connection, &mut writer, record).await?;
        self.seal(connection, chain, writer).await
    }
}
