//! Writing the audit trail.

use chrono::{DateTime, Utc};
use guard_app::ports::{Clock, Random, StorageError, random_tail};
use guard_domain::{AuditId, Decision, EventId, ExecutionId, RuleId, TenantId, id};
use uuid::Uuid;

use crate::chain::{CanonicalRecord, GENESIS, hex, link_hash};
use crate::database::{Cell, Session, Sql};
use crate::planted_fault::{PlantedFault::SkippedAuditLink, SKIPPED_EVERY, is_planted};
use crate::row::{micros, text};
use crate::store::Store;

/// The head of this process's chain.
#[derive(Debug)]
pub(crate) struct Chain {
    id: Uuid,
    link: i64,
    hash: [u8; 32],
    /// A commit is under way, or its outcome was never heard: the head is then not known.
    uncertain: bool,
}

impl Chain {
    /// A new chain.
    pub(crate) fn begin(clock: &dyn Clock, random: &dyn Random) -> Self {
        let id = id::v7(clock.now(), random_tail(random));
        Self {
            id,
            link: 0,
            hash: GENESIS,
            uncertain: false,
        }
    }

    /// The transaction with this link has been committed.
    pub(crate) fn advance(&mut self, head: Head) {
        self.link = head.link;
        self.hash = head.hash;
        self.uncertain = false;
    }
}

/// What becomes the head of the chain when its transaction is committed.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    link: i64,
    hash: [u8; 32],
}

/// A record to write.
pub(crate) struct Record<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) action: &'static str,
    pub(crate) actor: &'a str,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) target: Option<String>,
    pub(crate) subject: Subject<'a>,
    pub(crate) message: &'a str,
}

/// What a record is about, beside the act itself.
#[derive(Default)]
pub(crate) struct Subject<'a> {
    pub(crate) event: Option<(EventId, [u8; 32])>,
    pub(crate) decision: Option<&'a Decision>,
    pub(crate) execution_id: Option<ExecutionId>,
    pub(crate) shadows: &'a [RuleId],
}

/// The records of one transaction; they are written together, with their link.
pub(crate) struct AuditWriter {
    chain: Uuid,
    link: i64,
    previous: [u8; 32],
    now: DateTime<Utc>,
    rows: Vec<Row>,
}

/// A record as it is stored.
struct Row {
    id: Uuid,
    tenant: String,
    action: &'static str,
    actor: String,
    request_id: Option<String>,
    target: Option<String>,
    event_id: Option<Uuid>,
    event_sha256: Option<[u8; 32]>,
    decision: Option<&'static str>,
    rule_id: Option<String>,
    rule_version: Option<u32>,
    revision: Option<u64>,
    execution_id: Option<Uuid>,
    message: String,
    shadows: String,
    hash: [u8; 32],
}

const INSERT_RECORDS: Sql = Sql {
    sqlite: "INSERT INTO audit_log (chain, link, executed_at, tenant, audit_id, position, action, actor, request_id, target,
                 event_id, event_sha256, decision, rule_id, rule_version, revision, execution_id, message, shadows, hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
    postgres: "INSERT INTO audit_log (chain, link, executed_at, tenant, audit_id, position, action, actor, request_id, target,
                   event_id, event_sha256, decision, rule_id, rule_version, revision, execution_id, message, shadows, hash)
               SELECT * FROM UNNEST($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::uuid[], $6::bigint[],
                   $7::text[], $8::text[], $9::text[], $10::text[], $11::uuid[], $12::bytea[], $13::text[], $14::text[],
                   $15::bigint[], $16::bigint[], $17::uuid[], $18::text[], $19::text[], $20::bytea[])",
};

impl AuditWriter {
    /// How many records there are.
    pub(crate) const fn count(&self) -> usize {
        self.rows.len()
    }

    /// Adds a record.
    pub(crate) fn add(&mut self, random: &dyn Random, record: Record<'_>) {
        let tail = id::counted(self.rows.len(), random_tail(random));
        let id = AuditId::new(self.now, tail);
        let Subject {
            event,
            decision,
            execution_id,
            shadows,
        } = record.subject;
        let event_sha256 = event.map(|(_, digest)| hex(&digest));
        let shadows = serde_json::to_string(shadows).unwrap_or_else(|_| "[]".to_owned());
        let rule_id = decision.and_then(|decision| decision.rule_id.as_ref());
        let (actor, message) = (text(record.actor), text(record.message));
        let canonical = CanonicalRecord {
            id,
            tenant: record.tenant.as_str(),
            action: record.action,
            actor: &actor,
            request_id: record.request_id,
            target: record.target.as_deref(),
            event_id: event.map(|(id, _)| id),
            event_sha256: event_sha256.as_deref(),
            decision: decision.map(|decision| decision.kind.as_str()),
            rule_id: rule_id.map(RuleId::as_str),
            rule_version: decision.and_then(|decision| decision.rule_version),
            revision: decision.map(|decision| decision.revision),
            execution_id,
            message: &message,
            shadows: &shadows,
            executed_at: micros(self.now),
        };
        let hash = canonical.hash();
        let row = Row {
            id: id.as_uuid(),
            tenant: record.tenant.as_str().to_owned(),
            action: record.action,
            request_id: record.request_id.map(str::to_owned),
            event_id: event.map(|(id, _)| id.as_uuid()),
            event_sha256: event.map(|(_, digest)| digest),
            decision: decision.map(|decision| decision.kind.as_str()),
            rule_id: rule_id.map(|id| id.as_str().to_owned()),
            rule_version: decision.and_then(|decision| decision.rule_version),
            revision: decision.map(|decision| decision.revision),
            execution_id: execution_id.map(|id| id.as_uuid()),
            hash,
            actor: actor.into_owned(),
            message: message.into_owned(),
            target: record.target,
            shadows,
        };
        self.rows.push(row);
    }

    async fn write(&self, session: &mut Session) -> Result<(), StorageError> {
        let rows: Vec<_> = (0_i64..)
            .zip(&self.rows)
            .map(|(position, row)| {
                let revision = row
                    .revision
                    .map(|number| i64::try_from(number).unwrap_or(i64::MAX));
                [
                    self.chain.into(),
                    self.link.into(),
                    micros(self.now).into(),
                    row.tenant.as_str().into(),
                    row.id.into(),
                    position.into(),
                    row.action.into(),
                    row.actor.as_str().into(),
                    Cell::Text(row.request_id.as_deref()),
                    Cell::Text(row.target.as_deref()),
                    Cell::Id(row.event_id),
                    Cell::Bytes(row.event_sha256.as_ref().map(<[u8; 32]>::as_slice)),
                    Cell::Text(row.decision),
                    Cell::Text(row.rule_id.as_deref()),
                    Cell::Number(row.rule_version.map(i64::from)),
                    Cell::Number(revision),
                    Cell::Id(row.execution_id),
                    row.message.as_str().into(),
                    row.shadows.as_str().into(),
                    row.hash.as_slice().into(),
                ]
            })
            .collect();
        session.insert(INSERT_RECORDS, &rows).await
    }
}

impl Store {
    /// Begins the records of a transaction.
    pub(crate) fn audit(&self, chain: &mut Chain, now: DateTime<Utc>) -> AuditWriter {
        if chain.uncertain {
            *chain = Chain::begin(self.clock.as_ref(), self.random.as_ref());
        }
        AuditWriter {
            chain: chain.id,
            link: chain.link + 1,
            previous: chain.hash,
            now,
            rows: Vec::new(),
        }
    }

    /// Writes the records and their link. The chain's head is uncertain until [`Chain::advance`] says otherwise.
    pub(crate) async fn seal(
        &self,
        session: &mut Session,
        chain: &mut Chain,
        writer: AuditWriter,
    ) -> Result<Head, StorageError> {
        writer.write(session).await?;
        let hashes: Vec<_> = writer.rows.iter().map(|row| row.hash).collect();
        let hash = link_hash(&writer.previous, &hashes);
        let link = writer.link;
        if is_planted(SkippedAuditLink) && link % SKIPPED_EVERY == 0 {
            return Ok(Head { link, hash });
        }
        session
            .query(
                "INSERT INTO audit_links (chain, link, previous, hash, records, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(writer.chain)
            .bind(link)
            .bind(writer.previous.as_slice())
            .bind(hash.as_slice())
            .bind(i64::try_from(writer.rows.len()).unwrap_or(i64::MAX))
            .bind(micros(writer.now))
            .execute()
            .await?;
        chain.uncertain = true;
        Ok(Head { link, hash })
    }

    /// Writes the record of an act that has a transaction of its own, and its link.
    pub(crate) async fn write_act(
        &self,
        session: &mut Session,
        chain: &mut Chain,
        record: Record<'_>,
    ) -> Result<Head, StorageError> {
        let mut writer = self.audit(chain, self.clock.now());
        writer.add(self.random.as_ref(), record);
        self.seal(session, chain, writer).await
    }
}
