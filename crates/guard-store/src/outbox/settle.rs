//! What attempts come to.

use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{AttemptReport, Claimed, NextStep, Settled, StorageError};
use guard_domain::{Escalation, Execution, ExecutionId, ExecutionState, TenantId};

use crate::database::{Query, Session};
use crate::error::unavailable;
use crate::execution::{execution, lock_row, read, set_state};
use crate::planted_fault::{PlantedFault::NoFencing, is_planted};
use crate::row::{Columns, micros, text};
use crate::store::Store;

/// What an attempt came to. Its parameters are those of [`bind_attempt`].
macro_rules! end_attempt {
    () => {
        "UPDATE execution_attempts
         SET finished_at = $3, outcome = $5, status_code = $6, detail = $7, may_have_run = $8, answer = $9
         WHERE tenant = $1 AND execution_id = $2 AND attempt = $4"
    };
}

/// n8n has it at `$3`, and its workflow is to report until `$confirm_by`. If the workflow has spoken already, its state stays. What it says
/// of the state opens no index on states: see ADR 18.
macro_rules! acknowledge {
    ($confirm_by:literal) => {
        concat!(
            "UPDATE rule_executions
             SET acknowledged_at = coalesce(acknowledged_at, $3),
                 confirm_by = coalesce(confirm_by, ",
            $confirm_by,
            "),
                 message = CASE state WHEN 'dispatching' THEN NULL ELSE message END,
                 lease_owner = NULL,
                 state = CASE state WHEN 'dispatching' THEN 'acknowledged' ELSE state END
             WHERE tenant = $1 AND execution_id = $2 AND state IS DISTINCT FROM 'queued'"
        )
    };
}

/// Both, if the claim is the newest.
const END_AND_ACKNOWLEDGE: &str = concat!(
    "WITH ended AS (",
    end_attempt!(),
    ") ",
    acknowledge!("$10"),
    " AND epoch = $11 RETURNING *"
);

fn bind_attempt<'q>(
    query: Query<'q>,
    claimed: &Claimed,
    report: &AttemptReport,
    now: DateTime<Utc>,
) -> Query<'q> {
    query
        .bind(claimed.tenant.as_str())
        .bind(claimed.execution.id.as_uuid())
        .bind(micros(now))
        .bind(i64::from(claimed.execution.attempts))
        .bind(report.outcome.as_str())
        .bind(report.status_code.map(i64::from))
        .bind(text(&report.detail))
        .bind(report.may_have_run)
        .bind(report.answer.as_deref().map(text))
}

impl Store {
    pub(crate) async fn settle_attempt(
        &self,
        claimed: &Claimed,
        report: &AttemptReport,
    ) -> Result<Settled, StorageError> {
        match self.acknowledge_at_once(claimed, report).await? {
            Some(settled) => Ok(settled),
            None => self.settle_in_turn(claimed, report).await,
        }
    }

    /// What becomes of most attempts, in one statement that is a transaction of its own with PostgreSQL; `None` if there is more to it.
    async fn acknowledge_at_once(
        &self,
        claimed: &Claimed,
        report: &AttemptReport,
    ) -> Result<Option<Settled>, StorageError> {
        let (NextStep::Acknowledge { confirm_within }, None) = (&report.next, &report.escalation)
        else {
            return Ok(None);
        };
        if !self.database.is_shared() || is_planted(NoFencing) {
            return Ok(None);
        }
        let mut session = self.database.begin_delivery().await?;
        let now = self.clock.now();
        // The row may come before the commit, the end of the rows does not.
        let rows = bind_attempt(session.query(END_AND_ACKNOWLEDGE), claimed, report, now)
            .bind(micros(now + *confirm_within))
            .bind(claimed.epoch.cast_signed())
            .fetch_all()
            .await;
        let rows = rows.map_err(|error| session.explain(error))?;
        session.commit().await?;
        let settled = |row| {
            Ok(Settled {
                tenant: claimed.tenant.clone(),
                execution: execution(row)?,
                ended: false,
                escalation: None,
            })
        };
        rows.first().map(settled).transpose()
    }

    async fn settle_in_turn(
        &self,
        claimed: &Claimed,
        report: &AttemptReport,
    ) -> Result<Settled, StorageError> {
        let mut transaction = self.database.begin_routine().await?;
        let now = self.clock.now();
        let (tenant, id) = (&claimed.tenant, claimed.execution.id);
        bind_attempt(transaction.query(end_attempt!()), claimed, report, now)
            .execute()
            .await?;
        let row = lock_row(&mut transaction, tenant, id)
            .await?
            .ok_or_else(|| unavailable(sqlx::Error::RowNotFound))?;
        let epoch: u64 = Columns::new(&row, "rule_executions", "execution_id").unsigned("epoch")?;
        let current = execution(&row)?;
        let mut escalation = None;
        if epoch == claimed.epoch || is_planted(NoFencing) {
            escalation = self
                .follow(&mut transaction, tenant, &current, report, now)
                .await?;
        }
        if let Some(raised) = &report.escalation
            && self.raise(&mut transaction, tenant, raised).await?
        {
            escalation = Some(raised.clone());
        }
        let execution = read(&mut transaction, tenant, id).await?;
        transaction.commit().await?;
        let ended = execution.finished_at.is_some() && current.finished_at.is_none();
        Ok(Settled {
            tenant: tenant.clone(),
            execution,
            ended,
            escalation,
        })
    }

    /// What follows from the newest attempt. Once the workflow has spoken, only its own failure counts beside it.
    async fn follow(
        &self,
        connection: &mut Session,
        tenant: &TenantId,
        current: &Execution,
        report: &AttemptReport,
        now: DateTime<Utc>,
    ) -> Result<Option<Escalation>, StorageError> {
        let (id, dispatching) = (current.id, current.state == ExecutionState::Dispatching);
        let started = current.state == ExecutionState::Started;
        match &report.next {
            NextStep::Acknowledge { confirm_within } => {
                acknowledge(connection, tenant, id, now, *confirm_within).await?;
            }
            NextStep::Retry { at } if dispatching => {
                connection.query(
                    "UPDATE rule_executions
                     SET state = 'queued', next_attempt_at = $3, message = $4, unregistered_since = $5, lease_owner = NULL
                     WHERE tenant = $1 AND execution_id = $2",
                )
                .bind(tenant.as_str())
                .bind(id.as_uuid())
                .bind(micros(*at))
                .bind(text(&report.detail))
                .bind(report.unregistered_since.map(micros)).execute().await?;
            }
            NextStep::GiveUp if dispatching => {
                let detail = &report.detail;
                return self
                    .end_without_proof(connection, tenant, current, detail, now)
                    .await;
            }
            // Of several deliveries, the one that failed may be another than the one that started.
            NextStep::Fail if dispatching || (started && current.attempts == 1) => {
                let message = Some(report.detail.as_str());
                let failed = ExecutionState::Failed;
                set_state(connection, tenant, id, failed, message, Some(now)).await?;
            }
            NextStep::Retry { .. } | NextStep::GiveUp | NextStep::Fail => {}
        }
        Ok(None)
    }
}

/// n8n has it. If the workflow has spoken already, its state stays.
async fn acknowledge(
    connection: &mut Session,
    tenant: &TenantId,
    id: ExecutionId,
    now: DateTime<Utc>,
    confirm_within: TimeDelta,
) -> Result<(), StorageError> {
    connection
        .query(acknowledge!("$4"))
        .bind(tenant.as_str())
        .bind(id.as_uuid())
        .bind(micros(now))
        .bind(micros(now + confirm_within))
        .execute()
        .await?;
    Ok(())
}
