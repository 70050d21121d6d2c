//! Reading back. Ids sort by time, so that a range of ids is a range of time and a page is a range of ids.
//!
//! Each list has one statement for each filter that has an index of its own; further filters narrow what that index finds. The
//! statement names its index: without statistics SQLite would walk the whole range of ids instead. Events have no such indexes; see
//! [`events`].

mod audit;
mod events;
mod rows;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use guard_app::ports::{
    Archive, AuditFilter, AuditPosition, AuditRecord, EscalationFilter, EscalationRecord,
    EventFilter, EventRecord, ExecutionDetail, ExecutionFilter, IdPage, StorageError,
};
use guard_domain::{
    EventId, Execution, ExecutionId, ExecutionState, PlaybookName, RuleId, TenantId, id,
};
use tracing::instrument;
use uuid::Uuid;

use crate::database::{Query, Session, Sql};
use crate::execution::{execution, read_row};
use crate::row::Columns;
use crate::store::Store;
pub(crate) use rows::escalation;
use rows::{attempt, with_notifications};

/// A statement of a list whose first parameters are the tenant, the least id, the id that all are below, and the limit.
fn paged<'s>(
    session: &'s mut Session,
    statement: Sql,
    tenant: &TenantId,
    page: IdPage,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
) -> Query<'s> {
    let least = since.map_or(Uuid::nil(), id::v7_floor);
    let until = until.map_or(Uuid::max(), id::v7_floor);
    let below = page.before.map_or(until, |before| before.min(until));
    session
        .query(statement)
        .bind(tenant.as_str())
        .bind(least)
        .bind(below)
        .bind(i64::from(page.limit))
}

/// A statement that names its index for SQLite.
macro_rules! indexed {
    ($before:expr, $index:literal, $after:expr) => {
        Sql {
            sqlite: concat!($before, " ", $index, " ", $after),
            postgres: concat!($before, " ", $after),
        }
    };
}
pub(crate) use indexed;

macro_rules! select_executions {
    ($index:literal, $filter:literal) => {
        indexed!(
            "SELECT * FROM rule_executions",
            $index,
            concat!(
                "WHERE tenant = $1 AND execution_id >= $2 AND execution_id < $3 AND ",
                $filter,
                " ORDER BY execution_id DESC LIMIT $4"
            )
        )
    };
}

#[async_trait]
impl Archive for Store {
    #[instrument(name = "db.event.read", level = "debug", skip_all)]
    async fn event(
        &self,
        tenant: &TenantId,
        id: EventId,
    ) -> Result<Option<EventRecord>, StorageError> {
        self.event_by_id(tenant, id).await
    }

    #[instrument(name = "db.event.list", level = "debug", skip_all)]
    async fn events(
        &self,
        tenant: &TenantId,
        filter: &EventFilter,
        page: IdPage,
    ) -> Result<Vec<EventRecord>, StorageError> {
        self.event_page(tenant, filter, page).await
    }

    #[instrument(name = "db.execution.read", level = "debug", skip_all)]
    async fn execution(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
    ) -> Result<Option<ExecutionDetail>, StorageError> {
        let mut connection = self.database.reader_for(tenant).await?;
        let Some(row) = read_row(&mut connection, tenant, id).await? else {
            return Ok(None);
        };
        let attempts = connection.query(
            "SELECT * FROM execution_attempts WHERE tenant = $1 AND execution_id = $2 ORDER BY attempt",
        )
        .bind(tenant.as_str())
        .bind(id.as_uuid()).fetch_all().await?;
        Ok(Some(ExecutionDetail {
            execution: execution(&row)?,
            params: Columns::new(&row, "rule_executions", "execution_id").get("params")?,
            attempts: attempts.iter().map(attempt).collect::<Result<_, _>>()?,
        }))
    }

    #[instrument(name = "db.execution.list", level = "debug", skip_all)]
    async fn executions(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        page: IdPage,
    ) -> Result<Vec<Execution>, StorageError> {
        let statement = match filter {
            ExecutionFilter {
                rule_id: Some(_), ..
            } => select_executions!(
                "INDEXED BY rule_executions_by_rule",
                "rule_id = $7 AND ($5 IS NULL OR state = $5) AND ($6 IS NULL OR playbook = $6)"
            ),
            ExecutionFilter {
                playbook: Some(_), ..
            } => {
                select_executions!(
                    "INDEXED BY rule_executions_by_playbook",
                    "playbook = $6 AND ($5 IS NULL OR state = $5) AND $7 IS NULL"
                )
            }
            ExecutionFilter { state: Some(_), .. } => {
                select_executions!(
                    "INDEXED BY rule_executions_by_state",
                    "state = $5 AND $6 IS NULL AND $7 IS NULL"
                )
            }
            _ => select_executions!("", "$5 IS NULL AND $6 IS NULL AND $7 IS NULL"),
        };
        let mut session = self.database.reader_for(tenant).await?;
        let rows = paged(
            &mut session,
            statement,
            tenant,
            page,
            filter.since,
            filter.until,
        )
        .bind(filter.state.map(ExecutionState::as_str))
        .bind(filter.playbook.as_ref().map(PlaybookName::as_str))
        .bind(filter.rule_id.as_ref().map(RuleId::as_str))
        .fetch_all()
        .await?;
        rows.iter().map(execution).collect()
    }

    #[instrument(name = "db.escalation.list", level = "debug", skip_all)]
    async fn escalations(
        &self,
        tenant: &TenantId,
        filter: &EscalationFilter,
        page: IdPage,
    ) -> Result<Vec<EscalationRecord>, StorageError> {
        let mut session = self.database.reader_for(tenant).await?;
        let rows = paged(&mut session, "SELECT * FROM escalations WHERE tenant = $1 AND escalation_id >= $2 AND escalation_id < $3
             ORDER BY escalation_id DESC LIMIT $4".into(), tenant, page, filter.since, filter.until)
        .fetch_all()
        .await?;
        let escalations: Vec<_> = rows.iter().map(escalation).collect::<Result<_, _>>()?;
        with_notifications(&mut session, tenant, escalations).await
    }

    #[instrument(name = "db.audit.list", level = "debug", skip_all)]
    async fn audit(
        &self,
        tenant: &TenantId,
        filter: &AuditFilter,
        page: IdPage,
    ) -> Result<Vec<AuditRecord>, StorageError> {
        self.audit_page(tenant, filter, page).await
    }

    #[instrument(name = "db.audit.walk", level = "debug", skip_all)]
    async fn audit_after(
        &self,
        tenant: &TenantId,
        position: &AuditPosition,
        limit: u32,
    ) -> Result<(Vec<AuditRecord>, AuditPosition), StorageError> {
        self.audit_walk(tenant, position, limit).await
    }
}
