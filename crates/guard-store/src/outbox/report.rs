//! What attempts and workflows report.

use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{
    AttemptReport, Claimed, ConfirmTimes, FinishOutcome, NextStep, Settled, StartOutcome,
    StorageError, WorkflowResult,
};
use guard_domain::{Escalation, Execution, ExecutionId, ExecutionState, TenantId};

use crate::database::Session;
use crate::error::unavailable;
use crate::execution::{execution, lock_row, read, set_state};
use crate::planted_fault::{PlantedFault::NoFencing, is_planted};
use crate::row::{Columns, micros, text};
use crate::store::Store;

impl Store {
    pub(crate) async fn settle_attempt(
        &self,
        claimed: &Claimed,
        report: &AttemptReport,
    ) -> Result<Settled, StorageError> {
        let mut transaction = self.database.begin_routine().await?;
        let now = self.clock.now();
        let (tenant, id) = (&claimed.tenant, claimed.execution.id);
        transaction
            .query(
                "UPDATE execution_attempts
             SET finished_at = $4, outcome = $5, status_code = $6, detail = $7, may_have_run = $8, answer = $9
             WHERE tenant = $1 AND execution_id = $2 AND attempt = $3",
            )
            .bind(tenant.as_str())
            .bind(id.as_uuid())
            .bind(i64::from(claimed.execution.attempts))
            .bind(micros(now))
            .bind(report.outcome.as_str())
            .bind(report.status_code.map(i64::from))
            .bind(text(&report.detail))
            .bind(report.may_have_run)
            .bind(report.answer.as_deref().map(text))
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

    pub(crate) async fn start_workflow(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        n8n_execution_id: &str,
        confirm_within: &ConfirmTimes,
    ) -> Result<StartOutcome, StorageError> {
        let mut transaction = self.database.begin_for(tenant).await?;
        let now = self.clock.now();
        let Some(row) = lock_row(&mut transaction, tenant, id).await? else {
            return transaction.give_up(StartOutcome::NotFound).await;
        };
        let current = execution(&row)?;
        if !current.state.may_start() {
            return transaction
                .give_up(StartOutcome::Refused(format!(
                    "the execution is `{}`",
                    current.state
                )))
                .await;
        }
        if now >= current.deadline {
            return transaction
                .give_up(StartOutcome::Refused(
                    "the execution is past its deadline".to_owned(),
                ))
                .await;
        }
        match current.n8n_execution_id.as_deref() {
            Some(known) if known == text(n8n_execution_id) => {
                return transaction.give_up(StartOutcome::Started(current)).await;
            }
            Some(_) => {
                let why = "another delivery of this execution has started".to_owned();
                return transaction.give_up(StartOutcome::Refused(why)).await;
            }
            None => {}
        }
        transaction.query(
            "UPDATE rule_executions
             SET state = 'started', started_at = $3, n8n_execution_id = $4, confirm_by = coalesce(confirm_by, $5),
                 message = NULL
             WHERE tenant = $1 AND execution_id = $2",
        )
        .bind(tenant.as_str())
        .bind(id.as_uuid())
        .bind(micros(now))
        .bind(text(n8n_execution_id))
        .bind(micros(now + confirm_within.of(&current.playbook))).execute().await?;
        let started = read(&mut transaction, tenant, id).await?;
        transaction.commit().await?;
        Ok(StartOutcome::Started(started))
    }

    pub(crate) async fn finish_workflow(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        result: &WorkflowResult,
    ) -> Result<FinishOutcome, StorageError> {
        let mut transaction = self.database.begin_for(tenant).await?;
        let now = self.clock.now();
        let Some(row) = lock_row(&mut transaction, tenant, id).await? else {
            return transaction.give_up(FinishOutcome::NotFound).await;
        };
        let current = execution(&row)?;
        match current.state {
            ExecutionState::Succeeded | ExecutionState::Failed => {
                return transaction.give_up(FinishOutcome::Repeated(current)).await;
            }
            state if state.is_final() => {
                return transaction
                    .give_up(FinishOutcome::Refused(format!(
                        "the execution is `{state}`"
                    )))
                    .await;
            }
            _ => {}
        }
        let state = if result.succeeded {
            ExecutionState::Succeeded
        } else {
            ExecutionState::Failed
        };
        transaction
            .query(
                "UPDATE rule_executions
             SET state = $3, finished_at = $4, message = $5, result_data = $6, lease_owner = NULL
             WHERE tenant = $1 AND execution_id = $2",
            )
            .bind(tenant.as_str())
            .bind(id.as_uuid())
            .bind(state.as_str())
            .bind(micros(now))
            .bind(result.message.as_deref().map(text))
            .bind(&result.data)
            .execute()
            .await?;
        if let (true, Some(undone)) = (result.succeeded, current.rollback_of) {
            roll_back(&mut transaction, tenant, undone).await?;
        }
        let finished = read(&mut transaction, tenant, id).await?;
        transaction.commit().await?;
        Ok(FinishOutcome::Finished(finished))
    }
}

/// An execution was undone. One that has ended in another way meanwhile, by its own late result, stays as it ended.
async fn roll_back(
    connection: &mut Session,
    tenant: &TenantId,
    id: ExecutionId,
) -> Result<(), StorageError> {
    let Some(row) = lock_row(connection, tenant, id).await? else {
        return Ok(());
    };
    let undone = execution(&row)?;
    if undone.state.may_undo() {
        let state = ExecutionState::RolledBack;
        set_state(connection, tenant, id, state, None, undone.finished_at).await?;
    }
    Ok(())
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
        .query(
            "UPDATE rule_executions
         SET acknowledged_at = coalesce(acknowledged_at, $3),
             confirm_by = coalesce(confirm_by, $4),
             message = CASE state WHEN 'dispatching' THEN NULL ELSE message END,
             lease_owner = NULL,
             state = CASE state WHEN 'dispatching' THEN 'acknowledged' ELSE state END
         WHERE tenant = $1 AND execution_id = $2 AND state <> 'queued'",
        )
        .bind(tenant.as_str())
        .bind(id.as_uuid())
        .bind(micros(now))
        .bind(micros(now + confirm_within))
        .execute()
        .await?;
    Ok(())
}
