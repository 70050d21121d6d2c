//! What is on record, read past the server.

use guard_audit::CanonicalRecord;
use sqlx::types::Uuid;
use sqlx::{Connection, PgConnection, SqliteConnection};

/// A connection to either database.
pub(crate) enum Reader {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Every row of a statement, which both databases understand, as what `$make` makes of it.
macro_rules! read {
    ($reader:expr, $sql:literal, |$row:ident| $make:expr) => {{
        use sqlx::Row;
        let made = match $reader {
            Reader::Sqlite(connection) => {
                let rows = sqlx::query($sql).fetch_all(connection).await;
                rows.map(|rows| rows.iter().map(|$row| $make).collect())
            }
            Reader::Postgres(connection) => {
                let rows = sqlx::query($sql).fetch_all(connection).await;
                rows.map(|rows| rows.iter().map(|$row| $make).collect())
            }
        };
        made.map_err(|error| format!("the database cannot be read: {error}"))
    }};
}

/// An event on record.
pub(crate) struct EventRow {
    pub(crate) id: Uuid,
    pub(crate) received_at: i64,
    pub(crate) decision: String,
    pub(crate) body: String,
}

/// A record of the audit trail.
pub(crate) struct AuditRow {
    pub(crate) id: Uuid,
    pub(crate) chain: Uuid,
    pub(crate) link: i64,
    pub(crate) position: i64,
    tenant: String,
    action: String,
    actor: String,
    request_id: Option<String>,
    target: Option<String>,
    pub(crate) event: Option<Uuid>,
    pub(crate) event_sha256: Option<Vec<u8>>,
    pub(crate) decision: Option<String>,
    pub(crate) rule: Option<String>,
    rule_version: Option<i64>,
    revision: Option<i64>,
    pub(crate) execution: Option<Uuid>,
    message: String,
    shadows: String,
    pub(crate) executed_at: i64,
    pub(crate) hash: Vec<u8>,
}

impl AuditRow {
    /// The hash that its fields have.
    pub(crate) fn computed_hash(&self) -> [u8; 32] {
        let digest = self.event_sha256.as_ref();
        let digest: Option<String> =
            digest.map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect());
        let record = CanonicalRecord {
            id: self.id,
            tenant: &self.tenant,
            action: &self.action,
            actor: &self.actor,
            request_id: self.request_id.as_deref(),
            target: self.target.as_deref(),
            event_id: self.event,
            event_sha256: digest.as_deref(),
            decision: self.decision.as_deref(),
            rule_id: self.rule.as_deref(),
            rule_version: self.rule_version.map(|version| version as u32),
            revision: self.revision.map(|revision| revision as u64),
            execution_id: self.execution,
            message: &self.message,
            shadows: &self.shadows,
            executed_at: self.executed_at,
        };
        record.hash()
    }
}

/// A link of the audit trail.
pub(crate) struct LinkRow {
    pub(crate) chain: Uuid,
    pub(crate) link: i64,
    pub(crate) previous: Vec<u8>,
    pub(crate) hash: Vec<u8>,
    pub(crate) records: i64,
    pub(crate) created_at: i64,
}

/// An execution.
pub(crate) struct ExecutionRow {
    pub(crate) id: Uuid,
    pub(crate) event: Uuid,
    pub(crate) rule: String,
    pub(crate) state: String,
    pub(crate) attempts: i64,
    pub(crate) epoch: i64,
    pub(crate) executed_at: i64,
    pub(crate) acknowledged_at: Option<i64>,
    pub(crate) started_at: Option<i64>,
    pub(crate) finished_at: Option<i64>,
    pub(crate) n8n_execution: Option<String>,
}

/// An attempt to deliver.
pub(crate) struct AttemptRow {
    pub(crate) execution: Uuid,
    pub(crate) attempt: i64,
    pub(crate) epoch: i64,
    pub(crate) instance: String,
    pub(crate) started_at: i64,
    pub(crate) finished_at: Option<i64>,
}

/// A claim of an execution.
pub(crate) struct Claim {
    pub(crate) owner: Option<String>,
    pub(crate) execution: Uuid,
    pub(crate) attempt: i64,
    pub(crate) lease_end: i64,
}

/// Everything that is checked.
pub(crate) struct Record {
    pub(crate) events: Vec<EventRow>,
    /// In the order of the chains.
    pub(crate) audit: Vec<AuditRow>,
    pub(crate) links: Vec<LinkRow>,
    /// In the order of their decisions.
    pub(crate) executions: Vec<ExecutionRow>,
    /// In the order of their numbers, for each execution.
    pub(crate) attempts: Vec<AttemptRow>,
}

impl Reader {
    pub(crate) async fn open(url: &str) -> Result<Self, String> {
        let opened = if url.starts_with("sqlite:") {
            SqliteConnection::connect(url).await.map(Self::Sqlite)
        } else {
            PgConnection::connect(url).await.map(Self::Postgres)
        };
        opened.map_err(|error| format!("`{url}` cannot be opened: {error}"))
    }

    /// The executions that are not over.
    pub(crate) async fn open_executions(&mut self) -> Result<Vec<(Uuid, String)>, String> {
        read!(
            self,
            "SELECT execution_id, state FROM rule_executions
             WHERE state IN ('queued', 'dispatching', 'acknowledged', 'started')",
            |row| (row.get(0), row.get(1))
        )
    }

    /// Every claim, of dead instances too.
    pub(crate) async fn claims(&mut self) -> Result<Vec<Claim>, String> {
        read!(
            self,
            "SELECT lease_owner, execution_id, attempts, next_attempt_at FROM rule_executions WHERE state = 'dispatching'",
            |row| Claim {
                owner: row.get(0),
                execution: row.get(1),
                attempt: row.get(2),
                lease_end: row.get(3),
            }
        )
    }

    pub(crate) async fn read(&mut self) -> Result<Record, String> {
        Ok(Record {
            events: self.events().await?,
            audit: self.audit().await?,
            links: self.links().await?,
            executions: self.executions().await?,
            attempts: self.attempts().await?,
        })
    }

    async fn events(&mut self) -> Result<Vec<EventRow>, String> {
        read!(
            self,
            "SELECT event_id, received_at, decision, body FROM events",
            |row| EventRow {
                id: row.get(0),
                received_at: row.get(1),
                decision: row.get(2),
                body: row.get(3),
            }
        )
    }

    async fn audit(&mut self) -> Result<Vec<AuditRow>, String> {
        read!(
            self,
            "SELECT audit_id, chain, link, position, tenant, action, actor, request_id, target, event_id, event_sha256,
                 decision, rule_id, rule_version, revision, execution_id, message, shadows, executed_at, hash
             FROM audit_log ORDER BY chain, link, position",
            |row| AuditRow {
                id: row.get(0),
                chain: row.get(1),
                link: row.get(2),
                position: row.get(3),
                tenant: row.get(4),
                action: row.get(5),
                actor: row.get(6),
                request_id: row.get(7),
                target: row.get(8),
                event: row.get(9),
                event_sha256: row.get(10),
                decision: row.get(11),
                rule: row.get(12),
                rule_version: row.get(13),
                revision: row.get(14),
                execution: row.get(15),
                message: row.get(16),
                shadows: row.get(17),
                executed_at: row.get(18),
                hash: row.get(19),
            }
        )
    }

    async fn links(&mut self) -> Result<Vec<LinkRow>, String> {
        read!(
            self,
            "SELECT chain, link, previous, hash, records, created_at FROM audit_links ORDER BY chain, link",
            |row| LinkRow {
                chain: row.get(0),
                link: row.get(1),
                previous: row.get(2),
                hash: row.get(3),
                records: row.get(4),
                created_at: row.get(5),
            }
        )
    }

    async fn executions(&mut self) -> Result<Vec<ExecutionRow>, String> {
        read!(
            self,
            "SELECT execution_id, event_id, rule_id, state, attempts, epoch, executed_at, acknowledged_at, started_at,
                 finished_at, n8n_execution_id
             FROM rule_executions ORDER BY executed_at, execution_id",
            |row| ExecutionRow {
                id: row.get(0),
                event: row.get(1),
                rule: row.get(2),
                state: row.get(3),
                attempts: row.get(4),
                epoch: row.get(5),
                executed_at: row.get(6),
                acknowledged_at: row.get(7),
                started_at: row.get(8),
                finished_at: row.get(9),
                n8n_execution: row.get(10),
            }
        )
    }

    async fn attempts(&mut self) -> Result<Vec<AttemptRow>, String> {
        read!(
            self,
            "SELECT execution_id, attempt, epoch, instance, started_at, finished_at FROM execution_attempts
             ORDER BY execution_id, attempt",
            |row| AttemptRow {
                execution: row.get(0),
                attempt: row.get(1),
                epoch: row.get(2),
                instance: row.get(3),
                started_at: row.get(4),
                finished_at: row.get(5),
            }
        )
    }
}
