//! Asking the runner of playbooks about runs that ended without proof.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use guard_domain::{Execution, TenantId};
use tokio_util::sync::CancellationToken;

use crate::outcome::count_result;
use crate::ports::{
    Clock, FinishOutcome, Leases, Outbox, Playbooks, RunStatus, StorageError, WorkflowResult,
};

/// The name of the lease.
const JOB: &str = "reconciling";
/// How long the job stays with an instance that gives no sign of life: longer than a round takes.
const LEASE: Duration = Duration::from_secs(600);
/// How many executions are asked about in one round: each may take as long as a probe.
const AT_ONCE: u32 = 50;
/// How long it is worth asking: by then a human has looked.
const WORTH_ASKING: TimeDelta = TimeDelta::hours(24);

/// Ends `unconfirmed` executions of which the runner knows how their run ended.
///
/// A workflow that did its work and whose report got lost, or that was killed, says nothing. Its runner may know: what it
/// says is put on record as the result, and that it said so.
pub struct Reconciler {
    /// Who does it.
    pub leases: Arc<dyn Leases>,
    /// Where executions are.
    pub outbox: Arc<dyn Outbox>,
    /// What runs them.
    pub playbooks: Arc<dyn Playbooks>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// This instance.
    pub instance: String,
    /// From one round to the next.
    pub every: Duration,
}

impl Reconciler {
    /// Asks now and then whenever no other instance does, until `stop` is cancelled. Does nothing if the runner cannot be
    /// asked.
    pub async fn run(self, stop: CancellationToken) {
        if !self.playbooks.tells_run_status() {
            return stop.cancelled().await;
        }
        while !stop.is_cancelled() {
            if let Err(error) = self.round(&stop).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "unconfirmed executions cannot be read"
                );
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.every) => {}
            }
        }
    }

    /// Asks about what is unconfirmed, the newest first, until `stop` is cancelled.
    async fn round(&self, stop: &CancellationToken) -> Result<(), StorageError> {
        let lease = self.leases.try_acquire(JOB, &self.instance, LEASE).await?;
        let Some(lease) = lease else { return Ok(()) };
        let asked = self.ask_about_all(stop).await;
        self.leases.release(&lease).await?;
        asked
    }

    async fn ask_about_all(&self, stop: &CancellationToken) -> Result<(), StorageError> {
        let since = self.clock.now() - WORTH_ASKING;
        for (tenant, execution) in self.outbox.unconfirmed(since, AT_ONCE).await? {
            let Some(run_id) = &execution.n8n_execution_id else {
                continue;
            };
            if stop.is_cancelled() {
                break;
            }
            let result = match self.playbooks.run_status(run_id).await {
                RunStatus::Running => continue,
                RunStatus::Unknown(why) => {
                    tracing::debug!(execution_id = %execution.id, run_id, "not reconciled: {why}");
                    continue;
                }
                RunStatus::Succeeded => WorkflowResult {
                    succeeded: true,
                    message: Some(format!(
                        "n8n says that its execution {run_id} succeeded; the workflow's own report never came"
                    )),
                    data: None,
                },
                RunStatus::Failed(how) => WorkflowResult {
                    succeeded: false,
                    message: Some(format!(
                        "n8n says that its execution {run_id} ended as `{how}`; the workflow reported nothing"
                    )),
                    data: None,
                },
            };
            self.end(&tenant, &execution, &result).await?;
        }
        Ok(())
    }

    async fn end(
        &self,
        tenant: &TenantId,
        execution: &Execution,
        result: &WorkflowResult,
    ) -> Result<(), StorageError> {
        // Its own report may come first: it counts then.
        let outcome = self.outbox.finish(tenant, execution.id, result).await?;
        if let FinishOutcome::Finished(ended) = outcome {
            count_result(&ended, self.clock.now());
            tracing::info!(
                %tenant,
                execution_id = %ended.id,
                playbook = %ended.playbook,
                state = %ended.state,
                "{}",
                result.message.as_deref().unwrap_or_default()
            );
        }
        Ok(())
    }
}
