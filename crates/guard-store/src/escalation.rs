//! Raising escalations, with one notification for each channel that they go over.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use guard_app::ports::StorageError;
use guard_domain::{Channel, ContactName, Escalation, NotificationState, RuleId, TenantId};

use crate::database::{Cell, Insert, Session, insert};
use crate::row::{micros, text};
use crate::store::Store;

/// Over which channels escalations go, and for how long.
#[derive(Debug, Clone)]
pub struct NotificationSettings {
    /// The channels of each contact that has any.
    pub channels: BTreeMap<ContactName, Vec<Channel>>,
    /// How long after it was raised an escalation is sent at the latest.
    pub deadline: TimeDelta,
}

impl Default for NotificationSettings {
    fn default() -> Self {
        Self {
            channels: BTreeMap::new(),
            deadline: TimeDelta::hours(24),
        }
    }
}

static INSERT_NOTIFICATIONS: Insert = insert!(
    "notifications (tenant, escalation_id, contact, channel, channel_type, reason, rule_id, severity_rank, state,
         next_attempt_at, deadline)",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "$1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[],
         $10::bigint[], $11::bigint[]",
    ""
);

impl Store {
    /// Records an escalation with its notifications. Returns `false` if the execution had one of this reason before.
    pub(crate) async fn raise(
        &self,
        session: &mut Session,
        tenant: &TenantId,
        escalation: &Escalation,
    ) -> Result<bool, StorageError> {
        let first = insert_escalation(session, tenant, escalation).await?;
        if first {
            self.insert_notifications(session, tenant, escalation)
                .await?;
        }
        Ok(first)
    }

    async fn insert_notifications(
        &self,
        session: &mut Session,
        tenant: &TenantId,
        escalation: &Escalation,
    ) -> Result<(), StorageError> {
        let settings = &self.settings.notifications;
        let channels = settings.channels.get(&escalation.contact);
        let deadline = escalation
            .created_at
            .checked_add_signed(settings.deadline)
            .map_or(i64::MAX, micros);
        let rows: Vec<[Cell<'_>; 11]> = channels
            .into_iter()
            .flatten()
            .filter(|channel| escalation.severity >= channel.min_severity)
            .map(|channel| {
                [
                    tenant.as_str().into(),
                    escalation.id.as_uuid().into(),
                    escalation.contact.as_str().into(),
                    channel.name.as_str().into(),
                    channel.channel_type.as_str().into(),
                    escalation.reason.as_str().into(),
                    escalation
                        .rule_id
                        .as_ref()
                        .map_or("", RuleId::as_str)
                        .into(),
                    i64::from(escalation.severity.rank()).into(),
                    NotificationState::Queued.as_str().into(),
                    micros(escalation.created_at).into(),
                    deadline.into(),
                ]
            })
            .collect();
        session.insert(&INSERT_NOTIFICATIONS, &rows).await
    }
}

async fn insert_escalation(
    session: &mut Session,
    tenant: &TenantId,
    escalation: &Escalation,
) -> Result<bool, StorageError> {
    let done = session
        .query(
            "INSERT INTO escalations (tenant, escalation_id, reason, contact, severity, message, event_id, execution_id,
                 rule_id, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT DO NOTHING",
        )
        .bind(tenant.as_str())
        .bind(escalation.id.as_uuid())
        .bind(escalation.reason.as_str())
        .bind(escalation.contact.as_str())
        .bind(escalation.severity.as_str())
        .bind(text(&escalation.message))
        .bind(escalation.event_id.map(|id| id.as_uuid()))
        .bind(escalation.execution_id.map(|id| id.as_uuid()))
        .bind(escalation.rule_id.as_ref().map(RuleId::as_str))
        .bind(micros(escalation.created_at))
        .execute()
        .await?;
    Ok(done == 1)
}
