//! Writing the audit trail.

mod act;
mod ends;
mod head;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use guard_app::ports::{Random, StorageError, random_tail};
use guard_audit::{CanonicalRecord, hex, link_hash};
use guard_domain::{AuditId, Decision, EventId, ExecutionId, RuleId, TenantId};
use uuid::Uuid;

use crate::database::{Cell, Insert, Query, Session, insert};
use crate::planted_fault::{PlantedFault::Unguarded, is_planted};
use crate::row::{micros, text};
use crate::store::Store;
pub(crate) use ends::{Ends, records_between};
pub(crate) use head::{Chain, Head, Place};

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
pub(crate) struct AuditWriter<'a> {
    now: DateTime<Utc>,
    rows: Vec<RecordRow<'a>>,
}

/// A record as it is stored, but for its place.
pub(crate) struct RecordRow<'a> {
    id: Uuid,
    tenant: &'a str,
    action: &'static str,
    pub(crate) actor: Cow<'a, str>,
    pub(crate) request_id: Option<&'a str>,
    target: Option<String>,
    event_id: Option<Uuid>,
    event_sha256: Option<[u8; 32]>,
    decision: Option<&'static str>,
    pub(crate) rule_id: Option<&'a str>,
    pub(crate) rule_version: Option<i64>,
    pub(crate) revision: Option<i64>,
    pub(crate) execution_id: Option<Uuid>,
    pub(crate) message: Cow<'a, str>,
    pub(crate) shadows: Cow<'static, str>,
    pub(crate) hash: [u8; 32],
}

/// A record at its place in a link.
pub(crate) struct PlacedRecord<'a> {
    pub(crate) row: &'a RecordRow<'a>,
    pub(crate) position: i64,
    /// True if it is found between the link's ends, see [`Ends`]; nothing if it is one of them.
    pub(crate) inside: Option<bool>,
}

static INSERT_RECORDS: Insert = insert!(
    "audit_log (chain, link, executed_at, tenant, audit_id, position, action, actor, request_id, target, event_id,
         event_sha256, decision, rule_id, rule_version, revision, execution_id, message, shadows, hash, inside)",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "$1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::uuid[], $6::bigint[], $7::text[], $8::text[], $9::text[],
         $10::text[], $11::uuid[], $12::bytea[], $13::text[], $14::text[], $15::bigint[], $16::bigint[], $17::uuid[],
         $18::text[], $19::text[], $20::bytea[], $21::boolean[]",
    ""
);

impl<'a> AuditWriter<'a> {
    /// Begins so many records of a transaction, which have this as their time.
    pub(crate) fn begin(now: DateTime<Utc>, records: usize) -> Self {
        Self {
            now,
            rows: Vec::with_capacity(records),
        }
    }

    /// Adds a record.
    pub(crate) fn add(&mut self, random: &dyn Random, record: Record<'a>) {
        let Subject {
            event,
            decision,
            execution_id,
            shadows,
        } = record.subject;
        // The record of a decision has the event's id: it is found by it, and goes the way of all that is old with it.
        let id = match event {
            Some((event_id, _)) => AuditId::from_uuid(event_id.as_uuid()),
            None => AuditId::new(self.now, random_tail(random)),
        };
        let event_sha256 = event.map(|(_, digest)| hex(&digest));
        let shadows = match shadows {
            [] => None,
            shadows => serde_json::to_string(shadows).ok(),
        };
        let shadows = shadows.map_or(Cow::Borrowed("[]"), Cow::Owned);
        let rule_id = decision.and_then(|decision| decision.rule_id.as_ref());
        let (actor, message) = (text(record.actor), text(record.message));
        let canonical = CanonicalRecord {
            id: id.as_uuid(),
            tenant: record.tenant.as_str(),
            action: record.action,
            actor: &actor,
            request_id: record.request_id,
            target: record.target.as_deref(),
            event_id: event.map(|(id, _)| id.as_uuid()),
            event_sha256: event_sha256.as_deref(),
            decision: decision.map(|decision| decision.kind.as_str()),
            rule_id: rule_id.map(RuleId::as_str),
            rule_version: decision.and_then(|decision| decision.rule_version),
            revision: decision.map(|decision| decision.revision),
            execution_id: execution_id.map(|id| id.as_uuid()),
            message: &message,
            shadows: &shadows,
            executed_at: micros(self.now),
        };
        let hash = if is_planted(Unguarded) {
            [0; 32]
        } else {
            canonical.hash()
        };
        let revision = decision.map(|decision| decision.revision);
        let row = RecordRow {
            id: id.as_uuid(),
            tenant: record.tenant.as_str(),
            action: record.action,
            request_id: record.request_id,
            event_id: event.map(|(id, _)| id.as_uuid()),
            event_sha256: event.map(|(_, digest)| digest),
            decision: decision.map(|decision| decision.kind.as_str()),
            rule_id: rule_id.map(RuleId::as_str),
            rule_version: decision
                .and_then(|decision| decision.rule_version)
                .map(i64::from),
            revision: revision.map(|number| i64::try_from(number).unwrap_or(i64::MAX)),
            execution_id: execution_id.map(|id| id.as_uuid()),
            hash,
            actor,
            message,
            target: record.target,
            shadows,
        };
        self.rows.push(row);
    }

    /// The records, in the order of their positions.
    pub(crate) fn placed(&self) -> impl Iterator<Item = PlacedRecord<'_>> {
        let ends = self.ends();
        let rows = (0..).zip(&self.rows);
        rows.map(move |(position, row)| PlacedRecord {
            row,
            position,
            inside: (!ends.contains(&row.id)).then_some(true),
        })
    }

    /// Writes the records of a link.
    pub(crate) async fn write(
        &self,
        session: &mut Session,
        place: &Place,
    ) -> Result<(), StorageError> {
        let written_at = micros(self.now);
        let records = self.placed();
        let rows: Vec<_> = records
            .map(|record| record.cells(place, written_at))
            .collect();
        session.insert(&INSERT_RECORDS, &rows).await
    }
}

impl<'a> PlacedRecord<'a> {
    /// Its columns, in the order of [`INSERT_RECORDS`].
    fn cells(&self, place: &Place, written_at: i64) -> [Cell<'a>; 21] {
        let row = self.row;
        [
            place.chain.into(),
            place.link.into(),
            written_at.into(),
            row.tenant.into(),
            row.id.into(),
            self.position.into(),
            row.action.into(),
            row.actor.as_ref().into(),
            Cell::Text(row.request_id),
            Cell::Text(row.target.as_deref()),
            Cell::Id(row.event_id),
            Cell::Bytes(row.event_sha256.as_ref().map(<[u8; 32]>::as_slice)),
            Cell::Text(row.decision),
            Cell::Text(row.rule_id),
            Cell::Number(row.rule_version),
            Cell::Number(row.revision),
            Cell::Id(row.execution_id),
            row.message.as_ref().into(),
            row.shadows.as_ref().into(),
            row.hash.as_slice().into(),
            Cell::Flag(self.inside),
        ]
    }
}

/// A link as it is stored.
pub(crate) struct Link {
    pub(crate) place: Place,
    hash: [u8; 32],
    records: i64,
    created_at: i64,
}

impl Link {
    /// What the chain's head becomes with it.
    pub(crate) fn head(&self) -> Head {
        self.place.head(self.hash)
    }

    /// Binds its columns, in the order of the table.
    pub(crate) fn bind<'s>(&self, query: Query<'s>) -> Query<'s> {
        query
            .bind(self.place.chain)
            .bind(self.place.link)
            .bind(self.place.previous.to_vec())
            .bind(self.hash.to_vec())
            .bind(self.records)
            .bind(self.created_at)
    }
}

impl AuditWriter<'_> {
    /// The link of the records at its place.
    pub(crate) fn link(&self, place: Place) -> Link {
        let hashes: Vec<_> = self.rows.iter().map(|row| row.hash).collect();
        Link {
            hash: if is_planted(Unguarded) {
                [0; 32]
            } else {
                link_hash(&place.previous, &hashes)
            },
            records: i64::try_from(hashes.len()).unwrap_or(i64::MAX),
            created_at: micros(self.now),
            place,
        }
    }
}

impl Store {
    /// The place of the next link. What was heard of its commit is to be told to the chain.
    pub(crate) fn next_place(&self, chain: &mut Chain) -> Place {
        chain.next(self.clock.as_ref(), self.random.as_ref())
    }

    /// Writes the record of an act that has a transaction of its own, and its link.
    pub(crate) async fn write_act(
        &self,
        session: &mut Session,
        chain: &mut Chain,
        record: Record<'_>,
    ) -> Result<Head, StorageError> {
        let mut writer = AuditWriter::begin(self.clock.now(), 1);
        writer.add(self.random.as_ref(), record);
        let place = self.next_place(chain);
        writer.write(session, &place).await?;
        let link = writer.link(place);
        let query = session.query(
            "INSERT INTO audit_links (chain, link, previous, hash, records, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        );
        link.bind(query).execute().await?;
        Ok(link.head())
    }
}
