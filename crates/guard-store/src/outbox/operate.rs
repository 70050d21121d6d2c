//! What operators do with executions.

use chrono::TimeDelta;
use guard_app::ports::{Actor, CancelOutcome, OrderOutcome, StorageError, random_tail};
use guard_domain::{EventId, Execution, ExecutionId, ExecutionState, PlaybookName, TenantId};
use uuid::Uuid;

use crate::audit::Chain;
use crate::audit::{Head, Record, Subject};
use crate::database::Session;
use crate::execution::{execution, lock_row, read, release_unless_run, set_state};
use crate::row::micros;
use crate::store::Store;

/// What is ordered about an execution that has ended.
#[derive(Clone, Copy)]
pub(crate) enum Order<'a> {
    /// That it runs again.
    Redrive,
    /// That this playbook undoes it.
    Undo(&'a PlaybookName),
}

impl Order<'_> {
    fn refusal(self, original: &Execution) -> Option<OrderOutcome> {
        let may = match self {
            Self::Redrive => original.state.may_redrive(),
            Self::Undo(_) if original.dry_run => return Some(OrderOutcome::Rehearsal),
            Self::Undo(_) => original.state.may_undo(),
        };
        (!may).then_some(OrderOutcome::Refused(original.state))
    }

    /// The execution that was ordered in the same way, and has not ended.
    const fn open(self) -> &'static str {
        match self {
            Self::Redrive => {
                "SELECT execution_id FROM rule_executions WHERE tenant = $1 AND redrive_of = $2
                     AND state IN ('queued', 'dispatching', 'acknowledged', 'started')"
            }
            Self::Undo(_) => {
                "SELECT execution_id FROM rule_executions WHERE tenant = $1 AND rollback_of = $2
                     AND state IN ('queued', 'dispatching', 'acknowledged', 'started')"
            }
        }
    }

    /// What goes on record.
    fn act(self, new: ExecutionId) -> (&'static str, String) {
        match self {
            Self::Redrive => (
                "execution_redriven",
                format!("Redrove an execution as {new}"),
            ),
            Self::Undo(rollback) => (
                "execution_undone",
                format!("Ordered an execution undone by {rollback} as {new}"),
            ),
        }
    }
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
        let mut transaction = self.database.begin_for(tenant).await?;
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

    /// Orders an execution again, or undone, as a copy with an id of its own.
    pub(crate) async fn order(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        order: Order<'_>,
        deadline: TimeDelta,
        actor: &Actor,
    ) -> Result<OrderOutcome, StorageError> {
        let mut transaction = self.database.begin_for(tenant).await?;
        let mut chain = self.chain().await;
        let Some(row) = lock_row(&mut transaction, tenant, id).await? else {
            return transaction.give_up(OrderOutcome::NotFound).await;
        };
        let original = execution(&row)?;
        if let Some(refusal) = order.refusal(&original) {
            return transaction.give_up(refusal).await;
        }
        let open: Option<Uuid> = transaction
            .query(order.open())
            .bind(tenant.as_str())
            .bind(id.as_uuid())
            .optional_scalar()
            .await?;
        if let Some(open) = open {
            let open = OrderOutcome::Open(ExecutionId::from_uuid(open));
            return transaction.give_up(open).await;
        }
        if !event_is_kept(&mut transaction, tenant, original.event_id).await? {
            return transaction.give_up(OrderOutcome::EventGone).await;
        }
        let new = self
            .copy(&mut transaction, tenant, &original, order, deadline)
            .await?;
        let (action, message) = order.act(new);
        let act = (action, message.as_str());
        let head = self
            .act_on_record(&mut transaction, &mut chain, tenant, id, actor, act)
            .await?;
        let execution = read(&mut transaction, tenant, new).await?;
        transaction.commit().await?;
        chain.advance(head);
        Ok(OrderOutcome::Ordered(execution))
    }

    /// Queues a copy of an execution, under a new id.
    async fn copy(
        &self,
        session: &mut Session,
        tenant: &TenantId,
        original: &Execution,
        order: Order<'_>,
        deadline: TimeDelta,
    ) -> Result<ExecutionId, StorageError> {
        let now = self.clock.now();
        let new = ExecutionId::new(now, random_tail(self.random.as_ref()));
        let (playbook, redrive_of, rollback_of) = match order {
            // What undoes still does.
            Order::Redrive => (&original.playbook, Some(original.id), original.rollback_of),
            Order::Undo(rollback) => (rollback, None, Some(original.id)),
        };
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
            .bind(original.id.as_uuid())
            .bind(new.as_uuid())
            .bind(micros(now))
            .bind(micros(now + deadline))
            .bind(playbook.as_str())
            .bind(redrive_of.map(|id| id.as_uuid()))
            .bind(rollback_of.map(|id| id.as_uuid()))
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
