//! The outbox.

mod claim;
mod expire;
mod operate;
mod reconcile;
mod rehearse;
mod report;
mod settle;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{
    Actor, AttemptReport, CancelOutcome, ClaimRequest, Claimed, ConfirmTimes, FinishOutcome,
    OrderOutcome, Outbox, Rehearsal, Settled, StartOutcome, StorageError, WorkflowResult,
};
use guard_domain::{Execution, ExecutionId, PlaybookName, TenantId};
use tracing::instrument;

use operate::Order;

use crate::store::Store;

#[async_trait]
impl Outbox for Store {
    #[instrument(name = "db.execution.claim", level = "debug", skip_all)]
    async fn claim_due(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StorageError> {
        self.claim(request).await
    }

    #[instrument(name = "db.execution.settle", level = "debug", skip_all)]
    async fn settle(
        &self,
        claimed: &Claimed,
        report: &AttemptReport,
    ) -> Result<Settled, StorageError> {
        self.settle_attempt(claimed, report).await
    }

    #[instrument(name = "db.execution.start", level = "debug", skip_all)]
    async fn start(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        n8n_execution_id: &str,
        confirm_within: &ConfirmTimes,
    ) -> Result<StartOutcome, StorageError> {
        self.start_workflow(tenant, id, n8n_execution_id, confirm_within)
            .await
    }

    #[instrument(name = "db.execution.finish", level = "debug", skip_all)]
    async fn finish(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        result: &WorkflowResult,
    ) -> Result<FinishOutcome, StorageError> {
        self.finish_workflow(tenant, id, result).await
    }

    #[instrument(name = "db.execution.cancel", level = "debug", skip_all)]
    async fn cancel(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        actor: &Actor,
    ) -> Result<CancelOutcome, StorageError> {
        self.cancel_execution(tenant, id, actor).await
    }

    #[instrument(name = "db.execution.redrive", level = "debug", skip_all)]
    async fn redrive(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        deadline: TimeDelta,
        actor: &Actor,
    ) -> Result<OrderOutcome, StorageError> {
        self.order(tenant, id, Order::Redrive, deadline, actor)
            .await
    }

    #[instrument(name = "db.execution.undo", level = "debug", skip_all)]
    async fn undo(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        rollback: &PlaybookName,
        deadline: TimeDelta,
        actor: &Actor,
    ) -> Result<OrderOutcome, StorageError> {
        self.order(tenant, id, Order::Undo(rollback), deadline, actor)
            .await
    }

    #[instrument(name = "db.execution.rehearse", level = "debug", skip_all)]
    async fn rehearse(
        &self,
        tenant: &TenantId,
        rehearsal: &Rehearsal,
        actor: &Actor,
    ) -> Result<Execution, StorageError> {
        self.rehearse_playbook(tenant, rehearsal, actor).await
    }

    #[instrument(name = "db.execution.unconfirmed", level = "debug", skip_all)]
    async fn unconfirmed(
        &self,
        since: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<(TenantId, Execution)>, StorageError> {
        self.unconfirmed_executions(since, limit).await
    }

    #[instrument(name = "db.execution.expire", level = "debug", skip_all)]
    async fn expire(&self, limit: u32) -> Result<Vec<Settled>, StorageError> {
        self.expire_executions(limit).await
    }
}
