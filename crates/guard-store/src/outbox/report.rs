//! What workflows report.

use guard_app::ports::{ConfirmTimes, FinishOutcome, StartOutcome, StorageError, WorkflowResult};
use guard_domain::{ExecutionId, ExecutionState, TenantId};

use crate::database::Session;
use crate::execution::{execution, lock_row, read, set_state};
use crate::row::{micros, text};
use crate::store::Store;

impl Store {
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
