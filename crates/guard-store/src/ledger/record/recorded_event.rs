//! An event and its audit record as one value of PostgreSQL.

use sqlx::postgres::{PgHasArrayType, PgTypeInfo};
use sqlx::{Postgres, Type};
use uuid::Uuid;

use super::Entry;
use crate::audit::PlacedRecord;
use crate::row::micros;

/// What one event adds to `events` and to `audit_log`: a value of the type `recorded_event`, whose fields are these in this order.
///
/// An array of rows takes PostgreSQL a tenth less work than an array for each column, of which it makes as many tables first.
#[derive(Debug, sqlx::Encode)]
pub(super) struct RecordedEvent<'a> {
    tenant: &'a str,
    event_id: Uuid,
    received_at: i64,
    event_type: &'a str,
    severity: &'a str,
    source: &'a str,
    occurred_at: i64,
    decision: &'a str,
    body: &'a str,
    position: i64,
    actor: &'a str,
    request_id: Option<&'a str>,
    event_sha256: &'a [u8],
    rule_id: Option<&'a str>,
    rule_version: Option<i64>,
    revision: Option<i64>,
    execution_id: Option<Uuid>,
    message: &'a str,
    shadows: &'a str,
    hash: &'a [u8],
    inside: Option<bool>,
}

/// Its name in the schema.
const NAME: &str = "recorded_event";

impl Type<Postgres> for RecordedEvent<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name(NAME)
    }
}

impl PgHasArrayType for RecordedEvent<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::array_of(NAME)
    }
}

impl<'a> RecordedEvent<'a> {
    pub(super) fn new(entry: &'a Entry<'_>, record: &PlacedRecord<'a>) -> Self {
        let (intake, event) = (entry.intake, &entry.intake.event);
        let row = record.row;
        Self {
            tenant: intake.tenant.as_str(),
            event_id: intake.event_id.as_uuid(),
            received_at: micros(intake.received_at),
            event_type: event.event_type().as_str(),
            severity: event.severity().as_str(),
            source: event.source().as_str(),
            occurred_at: micros(event.timestamp()),
            decision: entry.verdict.decision.kind.as_str(),
            body: event.body(),
            position: record.position,
            actor: &row.actor,
            request_id: row.request_id,
            event_sha256: &intake.body_sha256,
            rule_id: row.rule_id,
            rule_version: row.rule_version,
            revision: row.revision,
            execution_id: row.execution_id,
            message: &row.message,
            shadows: &row.shadows,
            hash: &row.hash,
            inside: record.inside,
        }
    }
}
