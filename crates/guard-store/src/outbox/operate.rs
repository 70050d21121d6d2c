//! What operators do with executions.

use chrono::TimeDelta;
use guard_app::ports::{
    Actor, CancelOutcome, RedriveOutcome, StorageError, UndoOutcome, random_tail,
};
use guard_domain::{EventId, ExecutionId, ExecutionState, PlaybookName, TenantId};
use uuid::Uuid;

use crate::audit::Chain;
use crate::audit::{Head, Record, Subject};
use crate::database::Session;
use crate::execution::{execution, lock_row, read, release_unless_run, set_state};
use crate::row::micros;
use crate::store::Store;

/// What a copy of an execution has of its own.
struct Order<'a> {
    playbook: &'a PlaybookName,
    redrive_of: Option<ExecutionId>,
    rollback_of: Option<ExecutionId>,
}

/// An execution that was ordered in the place of another one, and has not ended.
const REDRIVES: &str = "SELECT execution_id FROM rule_executions
     WHERE tenant = $1 AND redrive_of = $2 AND state IN ('queued', 'dispatching', 'acknowledged', 'started')";
/// An execution that undoes another one, and has not ended.
const UNDOINGS: &str = "SELECT execution_id FROM rule_executions
     WHERE tenant = $1 AND rollback_of = $2 AND state IN ('queued', 'dispatching', 'acknowledged', 'started')";

async fn open_order(
    session: &mut Session,
    tenant: &TenantId,
    id: ExecutionId,
    orders: &'static str,
) -> Result<Option<ExecutionId>, StorageError> {
    let open: Option<Uuid> = session
        .query(orders)
        .bind(tenant.as_str())
        .bind(id.as_uuid())
        .optional_scalar()
        .await?;
    Ok(open.map(ExecutionId::from_uuid))
}

/// Whether an event is there. Whoever drops it waits for this transaction, and sees the new execution then.
async fn event_is_kept(
    session: &mut Session,
    tenant: &TenantId,
    id: EventId,
) -> Result<bool, StorageError> {
    let event: Option<Uuid> = session
        .query("SELECT event_id FROM events WHERE tenant = $1 AND event_id = $2")
        .bind(tenant.as_str())
        .bind(id.as_uuid())
        .optional_scalar()
        .await?;
    Ok(event.is_some())
}

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
        if let Some(open) = open_order(&mut transaction, tenant, id, REDRIVES).await? {
            return transaction.give_up(RedriveOutcome::Open(open)).await;
        }
        if !event_is_kept(&mut transaction, tenant, redriven.event_id).await? {
            return transaction.give_up(RedriveOutcome::EventGone).await;
        }
        let order = Order {
            playbook: &redriven.playbook,
            redrive_of: Some(id),
            rollback_of: redriven.rollback_of,
        };
        let new = self
            .copy(&mut transaction, tenant, id, &order, deadline)
            .await?;
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

    pub(crate) async fn undo_execution(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        rollback: &PlaybookName,
        deadline: TimeDelta,
        actor: &Actor,
    ) -> Result<UndoOutcome, StorageError> {
        let mut transaction = self.database.begin().await?;
        let mut chain = self.chain().await;
        let Some(row) = lock_row(&mut transaction, tenant, id).await? else {
            return transaction.give_up(UndoOutcome::NotFound).await;
        };
        let undone = execution(&row)?;
        if undone.dry_run {
            return transaction.give_up(UndoOutcome::Rehearsal).await;
        }
        if !undone.state.may_undo() {
            let refused = UndoOutcome::Refused(undone.state);
            return transaction.give_up(refused).await;
        }
        if let Some(open) = open_order(&mut transaction, tenant, id, UNDOINGS).await? {
            return transaction.give_up(UndoOutcome::Open(open)).await;
        }
        if !event_is_kept(&mut transaction, tenant, undone.event_id).await? {
            return transaction.give_up(UndoOutcome::EventGone).await;
        }
        let order = Order {
            playbook: rollback,
            redrive_of: None,
            rollback_of: Some(id),
        };
        let new = self
            .copy(&mut transaction, tenant, id, &order, deadline)
            .await?;
        let message = format!("Ordered an execution undone by {rollback} as {new}");
        let act = ("execution_undone", message.as_str());
        let head = self
            .act_on_record(&mut transaction, &mut chain, tenant, id, actor, act)
            .await?;
        let execution = read(&mut transaction, tenant, new).await?;
        transaction.commit().await?;
        chain.advance(head);
        Ok(UndoOutcome::Ordered(execution))
    }

    /// Queues a copy of an execution, under a new id.
    async fn copy(
        &self,
        session: &mut Session,
        tenant: &TenantId,
        id: ExecutionId,
        order: &Order<'_>,
        deadline: TimeDelta,
    ) -> Result<ExecutionId, StorageError> {
        let now = self.clock.now();
        let new = ExecutionId::new(now, random_tail(self.random.as_ref()));
        session
            .query(
                "INSERT INTO rule_executions (tenant, execution_id, event_id, rule_id, rule_version, playbook, severity,
                 severity_rank, state, cooldown_value, params, next_attempt_at, deadline, executed_at, traceparent,
                 redrive_of, rollback_of, dry_run)
             SELECT tenant, $3, event_id, rule_id, rule_version, $6, severity, severity_rank, 'queued',
                 cooldown_value, params, $4, $5, $4, traceparent, $7, $8, dry_run
             FROM rule_executions WHERE tenant = $1 AND execution_id = $2",
            )
            .bind(tenant.as_str())
            .bind(id.as_uuid())
            .bind(new.as_uuid())
            .bind(micros(now))
            .bind(micros(now + deadline))
            .bind(order.playbook.as_str())
            .bind(order.redrive_of.map(|id| id.as_uuid()))
            .bind(order.rollback_of.map(|id| id.as_uuid()))
            .execute()
            .await?;
        Ok(new)
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
