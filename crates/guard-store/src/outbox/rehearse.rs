//! Ordering rehearsals.

use guard_app::ports::{Actor, Rehearsal, StorageError, random_tail};
use guard_audit::sha256;
use guard_domain::{Decision, DecisionKind, Execution, ExecutionId, TenantId};

use crate::audit::{Record, Subject};
use crate::database::Session;
use crate::execution::read;
use crate::row::{micros, text};
use crate::spans::{INSERT_SPANS, Sighting};
use crate::store::Store;

impl Store {
    pub(crate) async fn rehearse_playbook(
        &self,
        tenant: &TenantId,
        rehearsal: &Rehearsal,
        actor: &Actor,
    ) -> Result<Execution, StorageError> {
        let mut transaction = self.database.begin_for(tenant).await?;
        let mut chain = self.chain().await;
        let now = self.clock.now();
        let id = ExecutionId::new(now, random_tail(self.random.as_ref()));
        let (rule_id, version) = &rehearsal.rule;
        let message = format!(
            "Rehearsal of playbook {}, ordered by {}",
            rehearsal.playbook, actor.subject
        );
        let decision = Decision {
            kind: DecisionKind::DryRun,
            rule_id: Some(rule_id.clone()),
            rule_version: Some(*version),
            revision: rehearsal.revision,
            message: text(&message).into_owned(),
        };
        let received_at = micros(now);
        insert_event(&mut transaction, tenant, rehearsal, received_at).await?;
        let digest = sha256(rehearsal.event.body());
        let record = Record {
            tenant,
            action: "decision",
            actor: &actor.subject,
            request_id: actor.request_id.as_deref(),
            target: Some(format!("playbook:{}", rehearsal.playbook)),
            subject: Subject {
                event: Some((rehearsal.event_id, digest)),
                decision: Some(&decision),
                execution_id: Some(id),
                shadows: &[],
            },
            message: &decision.message,
        };
        let head = self.write_act(&mut transaction, &mut chain, record).await?;
        let event = &rehearsal.event;
        let sightings = Sighting::of(tenant, rehearsal.event_id, event, decision.kind);
        let spans = sightings.map(|sighting| sighting.row(chain.id()));
        transaction.insert(&INSERT_SPANS, &spans).await?;
        transaction
            .query(
                "INSERT INTO rule_executions (tenant, execution_id, event_id, rule_id, rule_version, playbook, severity,
                 severity_rank, state, cooldown_value, params, next_attempt_at, deadline, executed_at, dry_run)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'queued', '', $9, $10, $11, $10, $12)",
            )
            .bind(tenant.as_str())
            .bind(id.as_uuid())
            .bind(rehearsal.event_id.as_uuid())
            .bind(rule_id.as_str())
            .bind(i64::from(*version))
            .bind(rehearsal.playbook.as_str())
            .bind(rehearsal.event.severity().as_str())
            .bind(i64::from(rehearsal.event.severity().rank()))
            .bind(rehearsal.params.as_str())
            .bind(micros(now))
            .bind(micros(now + rehearsal.deadline))
            .bind(true)
            .execute()
            .await?;
        let execution = read(&mut transaction, tenant, id).await?;
        transaction.commit().await?;
        chain.advance(head);
        Ok(execution)
    }
}

async fn insert_event(
    session: &mut Session,
    tenant: &TenantId,
    rehearsal: &Rehearsal,
    received_at: i64,
) -> Result<(), StorageError> {
    let event = &rehearsal.event;
    session
        .query(
            "INSERT INTO events (tenant, event_id, received_at, event_type, severity, source, occurred_at, decision, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(tenant.as_str())
        .bind(rehearsal.event_id.as_uuid())
        .bind(received_at)
        .bind(event.event_type().as_str())
        .bind(event.severity().as_str())
        .bind(event.source().as_str())
        .bind(micros(event.timestamp()))
        .bind(DecisionKind::DryRun.as_str())
        .bind(event.body())
        .execute()
        .await?;
    Ok(())
}
