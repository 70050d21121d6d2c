//! The record of a batch: its events, what was decided about each, and the link of the audit chain.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use guard_app::ports::StorageError;

use super::{Batch, Entry};
use crate::audit::{AuditWriter, Head, Link, Place};
use crate::database::{Cell, Insert, MANY, Session, insert};
use crate::ledger::assumed::Assumed;
use crate::planted_fault::{PlantedFault::Unguarded, is_planted};
use crate::row::micros;
use crate::spans::{INSERT_SPANS, Sighting};

/// A link, unless something of what is assumed, see [`Assumed::to_json`], does not hold any more.
macro_rules! link {
    ($columns:literal, $assumed:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " WHERE NOT EXISTS (
                 SELECT 1 FROM ",
            $assumed,
            " a LEFT JOIN control c ON c.tenant = a.value ->> 0
                 WHERE coalesce(c.live_revision, 0) <> CAST(a.value ->> 1 AS BIGINT)
                     OR coalesce(c.pauses, '[]') <> a.value ->> 2)"
        )
    };
}

macro_rules! insert_link {
    ($link:expr, $returned:literal) => {
        concat!(
            "INSERT INTO audit_links (chain, link, previous, hash, records, created_at) ",
            $link,
            " RETURNING ",
            $returned
        )
    };
}

static INSERT_EVENTS: Insert = insert!(
    "events (tenant, event_id, received_at, event_type, severity, source, occurred_at, decision, body)",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "",
    ""
);

/// The records of decisions for SQLite: the chain, the link and the time of all, then the rows; see [`Batch::write_on_sqlite`].
static INSERT_DECISIONS: Insert = Insert {
    head: "INSERT OR FAIL INTO audit_log (chain, link, executed_at, action, tenant, audit_id, event_id, position, decision, actor,
             request_id, event_sha256, rule_id, rule_version, revision, execution_id, message, shadows, hash)
         SELECT ?, ?, ?, 'decision', v.column1, v.column2, v.column2, v.column3, v.column4, v.column5, v.column6, v.column7,
             v.column8, v.column9, v.column10, v.column11, v.column12, v.column13, v.column14
         FROM (VALUES ",
    row: "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    tail: ") v",
    postgres: "",
    sqlite: [const { OnceLock::new() }; MANY],
};

/// What SQLite is given at once: a link, and as many events and records. It gives no row if there is no link, and is to be undone
/// then. One statement after the other would each go to another thread and come back from there.
///
/// `begins`: whether that begins the transaction.
fn at_once_on_sqlite(begins: bool, rows: usize) -> &'static str {
    static TEXTS: [[OnceLock<String>; MANY]; 2] = [const { [const { OnceLock::new() }; MANY] }; 2];
    let [within, beginning] = &TEXTS;
    let (texts, begin) = if begins {
        (beginning, "BEGIN IMMEDIATE; ")
    } else {
        (within, "")
    };
    let link = if is_planted(Unguarded) {
        link!("?, ?, ?, ?, ?, ?", "json_each(?)")
    } else {
        insert_link!(link!("?, ?, ?, ?, ?, ?", "json_each(?)"), "link")
    };
    let events = INSERT_EVENTS.of_rows(rows);
    let decisions = INSERT_DECISIONS.of_rows(rows);
    let text = || [begin, link, "; ", events, "; ", decisions].concat();
    let place = rows.checked_sub(1).and_then(|place| texts.get(place));
    place.map_or("", |place| place.get_or_init(text))
}

/// Everything in one statement, which writes nothing if there is no link.
macro_rules! insert_record {
    ($link:expr, $spans:literal) => {
        concat!(
    "WITH link AS (",
    $link,
    "
     ), ", $spans, "record AS MATERIALIZED (
         SELECT * FROM UNNEST($8::text[], $9::uuid[], $10::bigint[], $11::text[], $12::text[], $13::text[], $14::bigint[],
             $15::text[], $16::text[], $17::text[], $18::text[], $19::bytea[], $20::text[], $21::bigint[], $22::bigint[],
             $23::uuid[], $24::text[], $25::text[], $26::bytea[])
         WITH ORDINALITY AS record (tenant, event_id, received_at, event_type, severity, source, occurred_at, decision, body,
             actor, request_id, event_sha256, rule_id, rule_version, revision, execution_id, message, shadows, hash, place)
     ), event AS (
         INSERT INTO events (tenant, event_id, received_at, event_type, severity, source, occurred_at, decision, body)
         SELECT r.tenant, r.event_id, r.received_at, r.event_type, r.severity, r.source, r.occurred_at, r.decision, r.body
         FROM link, record r
     )
     INSERT INTO audit_log (chain, link, executed_at, tenant, audit_id, position, action, actor, request_id, event_id,
         event_sha256, decision, rule_id, rule_version, revision, execution_id, message, shadows, hash)
     SELECT l.chain, l.link, l.created_at, r.tenant, r.event_id, r.place - 1, 'decision', r.actor, r.request_id, r.event_id,
         r.event_sha256, r.decision, r.rule_id, r.rule_version, r.revision, r.execution_id, r.message, r.shadows, r.hash
     FROM link l, record r"
        )
    };
}

/// The link of PostgreSQL.
macro_rules! shared_link {
    () => {
        link!(
            "$1 AS chain, $2 AS link, $3 AS previous, $4 AS hash, $5 AS records, $6 AS created_at",
            "jsonb_array_elements($7::jsonb)"
        )
    };
}

/// The statement without spans to write, and with some.
macro_rules! insert_records {
    ($link:expr) => {
        [
            insert_record!($link, ""),
            insert_record!(
                $link,
                "span AS (
         INSERT INTO event_spans (tenant, term, value, span, writer)
         SELECT s.tenant, s.term, s.value, s.span, l.chain
         FROM link l, UNNEST($27::text[], $28::text[], $29::text[], $30::bigint[]) AS s (tenant, term, value, span)
         ON CONFLICT DO NOTHING
     ), "
            ),
        ]
    };
}

const INSERT_RECORD: [&str; 2] =
    insert_records!(insert_link!(shared_link!(), "chain, link, created_at"));
const INSERT_WITHOUT_LINK: [&str; 2] = insert_records!(shared_link!());

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
            self.write_on_sqlite(session, &records, &link, assumed, spans)
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
            .zip(records.decisions())
            .map(|(entry, decided)| joined::<9, 10, 19>(event_cells(entry), decided))
            .collect();
        let [without_spans, with_spans] = if is_planted(Unguarded) {
            INSERT_WITHOUT_LINK
        } else {
            INSERT_RECORD
        };
        let statement = if spans.is_empty() {
            without_spans
        } else {
            with_spans
        };
        let spans: Vec<_> = spans.iter().map(Sighting::cells).collect();
        let query = link.bind(session.query(statement));
        let query = query.bind(assumed.to_json()).bind_columns(&rows);
        Ok(query.bind_columns(&spans).execute().await? > 0)
    }

    async fn write_on_sqlite(
        &self,
        session: &mut Session,
        records: &AuditWriter<'_>,
        link: &Link,
        assumed: &Assumed,
        spans: &BTreeSet<Sighting<'_>>,
    ) -> Result<bool, StorageError> {
        let events: Vec<_> = self.entries.iter().map(event_cells).collect();
        let decisions: Vec<_> = (0_i64..)
            .zip(self.entries.iter().zip(records.decisions()))
            .map(|(position, (entry, decided))| {
                let of_event = [
                    entry.intake.tenant.as_str().into(),
                    entry.intake.event_id.as_uuid().into(),
                    position.into(),
                    entry.verdict.decision.kind.as_str().into(),
                ];
                joined::<4, 10, 14>(of_event, decided)
            })
            .collect();
        let of_all = [[
            link.place.chain.into(),
            link.place.link.into(),
            micros(self.now).into(),
        ]];
        let many = events.len().min(MANY);
        let (events, more_events) = events.split_at(many);
        let (decisions, more_decisions) = decisions.split_at(many);
        let statement = at_once_on_sqlite(session.may_begin(), many);
        let query = link.bind(session.query(statement)).bind(assumed.to_json());
        let query = query.bind_rows(events).bind_rows(&of_all);
        let query = query.bind_rows(decisions);
        if query.fetch_all().await?.is_empty() {
            return Ok(false);
        }
        session.insert(&INSERT_EVENTS, more_events).await?;
        for rows in more_decisions.chunks(MANY) {
            let query = session.query(INSERT_DECISIONS.of_rows(rows.len()));
            let query = query.bind_rows(&of_all).bind_rows(rows);
            query.execute().await?;
        }
        let spans: Vec<_> = spans
            .iter()
            .map(|span| span.row(link.place.chain))
            .collect();
        session.insert(&INSERT_SPANS, &spans).await?;
        Ok(true)
    }
}

/// The cells of a row of which two parts are known.
fn joined<'a, const A: usize, const B: usize, const ALL: usize>(
    first: [Cell<'a>; A],
    rest: [Cell<'a>; B],
) -> [Cell<'a>; ALL] {
    const { assert!(A + B == ALL) };
    let mut cells = first.into_iter().chain(rest);
    std::array::from_fn(|_| cells.next().unwrap_or(Cell::Number(None)))
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
