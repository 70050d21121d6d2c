//! What operators do with executions.

use chrono::TimeDelta;
use guard_app::ports::{Actor, CancelOutcome, RedriveOutcome, StorageError, random_tail};
use guard_domain::{ExecutionId, ExecutionState, TenantId};
use uuid::Uuid;

use crate::audit::Chain;
use crate::audit::{Head, Record, Subject};
use crate::database::Session;
use crate::execution::{execution, lock_row, read, release_unless_run, set_state};
use crate::row::micros;
use crate::store::Store;

impl Store {
    pub(crate) async fn cancel_execution(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        actor: &Actor,
    ) -> Result<CancelOutcome, StorageError> {
        let mut transaction = self.database.begin().await?;
        let mut chain = self.chain().await;
        let Some(row) = lock_row(&mut transaction, tenant, id).await? else {
            return transaction.give_up(CancelOutcome::NotFound).await;
        };
        let current = execution(&row)?;
        if !current.state.may_cancel() {
            return transaction
                .give_up(CancelOutcome::Refused(current.state))
                .await;
        }
        let now = self.clock.now();
        release_unless_run(&mut transaction, tenant, id).await?;
        let message = format!("cancelled by {}", actor.subject);
        let cancelled = ExecutionState::Cancelled;
        set_state(
            &mut transaction,
            tenant,
            id,
            cancelled,
            Some(&message),
            Some(now),
        )
        .await?;
        let act = ("execution_cancelled", "Cancelled an execution");
        let head = self
            .act_on_record(&mut transaction, &mut chain, tenant, id, actor, act)
            .await?;
        let execution = read(&mut transaction, tenant, id).await?;
        transaction.commit().await?;
        chain.advance(head);
        Ok(CancelOutcome::Cancelled(execution))
    }

    pub(crate) async fn redrive_execution(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        deadline: TimeDelta,
        actor: &Actor,
    ) -> Result<RedriveOutcome, StorageError> {
        let mut transaction = self.database.begin().await?;
        let mut chain = self.chain().await;
        let Some(row) = lock_row(&mut transaction, tenant, id).await? else {
            return transaction.give_up(RedriveOutcome::NotFound).await;
        };
        let redriven = execution(&row)?;
        if !redriven.state.may_redrive() {
            let refused = RedriveOutcome::Refused(redriven.state);
            return transaction.give_up(refused).await;
        }
        let open: Option<Uuid> = transaction.query(
            "SELECT execution_id FROM rule_executions
             WHERE tenant = $1 AND redrive_of = $2 AND state IN ('queued', 'dispatching', 'acknowledged', 'started')",
        )
        .bind(tenant.as_str())
        .bind(id.as_uuid()).optional_scalar().await?;
        if let Some(open) = open {
            return transaction
                .give_up(RedriveOutcome::Open(ExecutionId::from_uuid(open)))
                .await;
        }
        // Whoever drops the event waits for this transaction, and sees the new execution then.
        let event: Option<Uuid> = transaction
            .query("SELECT event_id FROM events WHERE tenant = $1 AND event_id = $2")
            .bind(tenant.as_str())
            .bind(redriven.event_id.as_uuid())
            .optional_scalar()
            .await?;
        if event.is_none() {
            return transaction.give_up(RedriveOutcome::EventGone).await;
        }
        let now = self.clock.now();
        let new = ExecutionId::new(now, random_tail(self.random.as_ref()));
        transaction.query(
            "INSERT INTO rule_executions (tenant, execution_id, event_id, rule_id, rule_version, playbook, severity,
                 severity_rank, state, cooldown_value, params, next_attempt_at, deadline, executed_at, traceparent,
                 redrive_of)
             SELECT tenant, $3, event_id, rule_id, rule_version, playbook, severity, severity_rank, 'queued',
                 cooldown_value, params, $4, $5, $4, traceparent, execution_id
             FROM rule_executions WHERE tenant = $1 AND execution_id = $2",
        )
        .bind(tenant.as_str())
        .bind(id.as_uuid())
        .bind(new.as_uuid())
        .bind(micros(now))
        .bind(micros(now + deadline)).execute().await?;
        let message = format!("Redrove an execution as {new}");
        let act = ("execution_redriven", message.as_str());
        let head = self
            .act_on_record(&mut transaction, &mut chain, tenant, id, actor, act)
            .await?;
        let execution = read(&mut transaction, tenant, new).await?;
        transaction.commit().await?;
        chain.advance(head);
        Ok(RedriveOutcome::Redriven(execution))
    }

    async fn act_on_record(
        &self,
        connection: &mut Session,
        chain: &mut Chain,
        tenant: &TenantId,
        id: ExecutionId,
        actor: &Actor,
        (action, message): (&'static str, &str),
    ) -> Result<Head, StorageError> {
        let subject = Subject {
            execution_id: Some(id),
            ..Subject::default()
        };
        let record = Record {
            tenant,
            action,
            actor: &actor.subject,
            request_id: actor.request_id.as_deref(),
            target: Some(format!("execution:{id}")),
            subject,
            message,
        };
        self.write_act(connection, chain, record).await
    }
}
