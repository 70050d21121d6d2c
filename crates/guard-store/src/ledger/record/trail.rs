//! The record of a batch: its events, what was decided about each, and the link of the audit chain.

use std::collections::BTreeSet;

use guard_app::ports::StorageError;

use super::effects::{cooldowns, executions, insert_effects, or_claim};
use super::recorded_event::RecordedEvent;
use super::{Batch, Entry};
use crate::audit::{AuditWriter, Head, Link, Place};
use crate::database::{Cell, Insert, Session, insert};
use crate::ledger::assumed::Assumed;
use crate::planted_fault::{PlantedFault::Unguarded, is_planted};
use crate::row::micros;
use crate::spans::{INSERT_SPANS, Sighting};

/// The link of SQLite, unless something of what is assumed, see [`Assumed::to_json`], does not hold any more.
macro_rules! sqlite_link {
    () => {
        "SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (
             SELECT 1 FROM json_each($7) a LEFT JOIN control c ON c.tenant = a.value ->> 0
             WHERE coalesce(c.live_revision, 0) <> CAST(a.value ->> 1 AS BIGINT)
                 OR coalesce(c.pauses, '[]') <> a.value ->> 2)"
    };
}

const INSERT_LINK: &str = concat!(
    "INSERT INTO audit_links (chain, link, previous, hash, records, created_at) ",
    sqlite_link!()
);

static INSERT_EVENTS: Insert = insert!(
    "events (tenant, event_id, received_at, event_type, severity, source, occurred_at, decision, body)",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "",
    ""
);

/// Everything in one statement of PostgreSQL, which writes nothing if there is no link.
macro_rules! insert_record {
    ($link:expr, $besides:expr) => {
        concat!(
            "WITH link AS (",
            $link,
            "
     ), ",
            $besides,
            "event AS (
         INSERT INTO events (tenant, event_id, received_at, event_type, severity, source, occurred_at, decision, body)
         SELECT r.tenant, r.event_id, r.received_at, r.event_type, r.severity, r.source, r.occurred_at, r.decision, r.body
         FROM link, UNNEST($9::recorded_event[]) r
     )
     INSERT INTO audit_log (chain, link, executed_at, tenant, audit_id, position, action, actor, request_id, event_id,
         event_sha256, decision, rule_id, rule_version, revision, execution_id, message, shadows, hash, inside)
     SELECT l.chain, l.link, l.created_at, r.tenant, r.event_id, r.position, 'decision', r.actor, r.request_id, r.event_id,
         r.event_sha256, r.decision, r.rule_id, r.rule_version, r.revision, r.execution_id, r.message, r.shadows, r.hash,
         r.inside
     FROM link l, UNNEST($9::recorded_event[]) r"
        )
    };
}

/// The link of PostgreSQL, if the tenants' rows are those that are assumed, see [`Assumed::standings`], and no others.
macro_rules! shared_link {
    () => {
        "SELECT $1 AS chain, $2 AS link, $3 AS previous, $4 AS hash, $5 AS records, $6 AS created_at WHERE (
             SELECT count(*) = cardinality($8)
                 AND coalesce(bool_and(c.tenant || ' ' || c.live_revision || ' ' || c.pauses = ANY ($8)), true)
             FROM control c WHERE c.tenant = ANY ($7))"
    };
}

/// The spans that are to be written.
macro_rules! insert_spans {
    () => {
        "span AS (
         INSERT INTO event_spans (tenant, term, value, span, writer)
         SELECT s.tenant, s.term, s.value, s.span, l.chain
         FROM link l, UNNEST($10::text[], $11::text[], $12::text[], $13::bigint[]) AS s (tenant, term, value, span)
         ON CONFLICT DO NOTHING
     ), "
    };
}

/// What is written beside the link, the events and their records.
#[derive(Clone, Copy)]
enum Besides {
    Nothing,
    Spans,
    SpansAndEffects,
}

/// The statement for a link, with what else it writes.
macro_rules! insert_records {
    ($link:expr, $besides:expr) => {
        match $besides {
            Besides::Nothing => insert_record!($link, ""),
            Besides::Spans => insert_record!($link, insert_spans!()),
            Besides::SpansAndEffects => {
                insert_record!($link, concat!(insert_spans!(), insert_effects!()))
            }
        }
    };
}

const fn insert_with_link(besides: Besides) -> &'static str {
    insert_records!(
        concat!(
            "INSERT INTO audit_links (chain, link, previous, hash, records, created_at) ",
            shared_link!(),
            " RETURNING chain, link, created_at"
        ),
        besides
    )
}

const fn insert_without_link(besides: Besides) -> &'static str {
    insert_records!(shared_link!(), besides)
}

impl Batch<'_> {
    /// Writes the record at its place; `None` if something was assumed that does not hold, and nothing was written.
    pub(in crate::ledger) async fn write_record(
        &self,
        session: &mut Session,
        place: Place,
        assumed: &Assumed,
        spans: &BTreeSet<Sighting<'_>>,
    ) -> Result<Option<Head>, StorageError> {
        let records = self.records();
        let link = records.link(place);
        let written = if session.is_shared() {
            self.write_at_once(session, &records, &link, assumed, spans)
                .await?
        } else {
            self.write_in_turn(session, &records, &link, assumed, spans)
                .await?
        };
        Ok(written.then(|| link.head()))
    }

    async fn write_at_once(
        &self,
        session: &mut Session,
        records: &AuditWriter<'_>,
        link: &Link,
        assumed: &Assumed,
        spans: &BTreeSet<Sighting<'_>>,
    ) -> Result<bool, StorageError> {
        let rows: Vec<_> = self
            .entries
            .iter()
            .zip(records.placed())
            .map(|(entry, record)| RecordedEvent::new(entry, &record))
            .collect();
        let tenants = assumed.tenants().map(|(tenant, _)| tenant.as_str());
        let tenants: Vec<_> = tenants.collect();
        let effects = self.effects();
        let besides = if !effects.is_empty() {
            Besides::SpansAndEffects
        } else if spans.is_empty() {
            Besides::Nothing
        } else {
            Besides::Spans
        };
        let statement = if is_planted(Unguarded) {
            insert_without_link(besides)
        } else {
            insert_with_link(besides)
        };
        let spans: Vec<_> = spans.iter().map(Sighting::cells).collect();
        let query = link.bind(session.query(statement));
        let query = query.bind_array(tenants).bind_array(assumed.standings());
        let query = query.bind_array(rows);
        let query = match besides {
            Besides::Nothing => query,
            Besides::Spans => query.bind_columns(&Sighting::KINDS, &spans),
            Besides::SpansAndEffects => effects.bind(query.bind_columns(&Sighting::KINDS, &spans)),
        };
        Ok(query.execute().await? > 0)
    }

    async fn write_in_turn(
        &self,
        session: &mut Session,
        records: &AuditWriter<'_>,
        link: &Link,
        assumed: &Assumed,
        spans: &BTreeSet<Sighting<'_>>,
    ) -> Result<bool, StorageError> {
        let bind = |query| link.bind(query).bind(assumed.to_json());
        let holds = if is_planted(Unguarded) {
            let link = bind(session.query(sqlite_link!())).fetch_optional();
            link.await?.is_some()
        } else {
            bind(session.query(INSERT_LINK)).execute().await? > 0
        };
        if !holds {
            return Ok(false);
        }
        let events: Vec<_> = self.entries.iter().map(event_cells).collect();
        session.insert(&INSERT_EVENTS, &events).await?;
        self.effects().write(session).await?;
        records.write(session, &link.place).await?;
        let spans = spans.iter().map(|span| span.row(link.place.chain));
        let spans: Vec<_> = spans.collect();
        session.insert(&INSERT_SPANS, &spans).await?;
        Ok(true)
    }
}

/// An event as it is stored: tenant, id, when it was received, type, severity, source, when it occurred, decision, body.
fn event_cells<'a>(entry: &'a Entry<'_>) -> [Cell<'a>; 9] {
    let (intake, event) = (entry.intake, &entry.intake.event);
    [
        intake.tenant.as_str().into(),
        intake.event_id.as_uuid().into(),
        micros(intake.received_at).into(),
        event.event_type().as_str().into(),
        event.severity().as_str().into(),
        event.source().as_str().into(),
        micros(event.timestamp()).into(),
        entry.verdict.decision.kind.as_str().into(),
        event.body().into(),
    ]
}
