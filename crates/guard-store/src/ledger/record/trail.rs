//! The record of a batch: its events, what was decided about each, and the link of the audit chain.

use guard_app::ports::StorageError;

use super::{Batch, Entry};
use crate::audit::{Head, Link, Place};
use crate::database::{Cell, Insert, Session, insert};
use crate::ledger::assumed::Assumed;
use crate::planted_fault::{PlantedFault::Unguarded, is_planted};
use crate::row::micros;

/// A link, unless something of what `$7` holds, see [`Assumed::to_json`], does not hold any more.
macro_rules! link {
    ($elements:literal) => {
        concat!(
            "SELECT $1 AS chain, $2 AS link, $3 AS previous, $4 AS hash, $5 AS records, $6 AS created_at WHERE NOT EXISTS (
                 SELECT 1 FROM ",
            $elements,
            " a LEFT JOIN control c ON c.tenant = a.value ->> 0
                 WHERE coalesce(c.live_revision, 0) <> CAST(a.value ->> 1 AS BIGINT)
                     OR coalesce(c.pauses, '[]') <> a.value ->> 2)"
        )
    };
}

macro_rules! insert_link {
    ($elements:literal) => {
        concat!(
            "INSERT INTO audit_links (chain, link, previous, hash, records, created_at) ",
            link!($elements)
        )
    };
}

const INSERT_LINK: &str = insert_link!("json_each($7)");
const NO_LINK: &str = link!("json_each($7)");

static INSERT_EVENTS: Insert = insert!(
    "events (tenant, event_id, received_at, event_type, severity, source, occurred_at, decision, body)",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "",
    ""
);

/// Everything in one statement, which writes nothing if there is no link.
macro_rules! insert_record {
    ($link:expr) => {
        concat!(
    "WITH link AS (",
    $link,
    "
     ), record AS MATERIALIZED (
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

const INSERT_RECORD: &str = insert_record!(concat!(
    insert_link!("jsonb_array_elements($7::jsonb)"),
    " RETURNING chain, link, created_at"
));
const INSERT_WITHOUT_LINK: &str = insert_record!(link!("jsonb_array_elements($7::jsonb)"));

impl Batch<'_> {
    /// Writes the record at its place; `None` if something was assumed that does not hold, and nothing was written.
    pub(in crate::ledger) async fn write_record(
        &self,
        session: &mut Session,
        place: Place,
        assumed: &Assumed,
    ) -> Result<Option<Head>, StorageError> {
        let link = self.audit.link(place);
        let written = if session.is_shared() {
            self.write_at_once(session, &link, assumed).await?
        } else {
            self.write_in_turn(session, &link, place, assumed).await?
        };
        Ok(written.then(|| link.head()))
    }

    async fn write_at_once(
        &self,
        session: &mut Session,
        link: &Link,
        assumed: &Assumed,
    ) -> Result<bool, StorageError> {
        let rows: Vec<_> = self
            .entries
            .iter()
            .zip(self.audit.decisions())
            .map(|(entry, decided)| {
                let [
                    tenant,
                    id,
                    received,
                    kind,
                    severity,
                    source,
                    occurred,
                    decision,
                    body,
                ] = event_cells(entry);
                let [
                    actor,
                    request,
                    digest,
                    rule,
                    version,
                    revision,
                    execution,
                    message,
                    shadows,
                    hash,
                ] = decided;
                [
                    tenant, id, received, kind, severity, source, occurred, decision, body, actor,
                    request, digest, rule, version, revision, execution, message, shadows, hash,
                ]
            })
            .collect();
        let statement = if is_planted(Unguarded) {
            INSERT_WITHOUT_LINK
        } else {
            INSERT_RECORD
        };
        let query = link.bind(session.query(statement));
        let query = query.bind(assumed.to_json()).bind_columns(&rows);
        Ok(query.execute().await? > 0)
    }

    async fn write_in_turn(
        &self,
        session: &mut Session,
        link: &Link,
        place: Place,
        assumed: &Assumed,
    ) -> Result<bool, StorageError> {
        let written = if is_planted(Unguarded) {
            let query = link.bind(session.query(NO_LINK)).bind(assumed.to_json());
            query.fetch_optional().await?.is_some()
        } else {
            let query = link.bind(session.query(INSERT_LINK));
            query.bind(assumed.to_json()).execute().await? > 0
        };
        if !written {
            return Ok(false);
        }
        let rows: Vec<_> = self.entries.iter().map(event_cells).collect();
        session.insert(&INSERT_EVENTS, &rows).await?;
        self.audit.write(session, &place).await?;
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
