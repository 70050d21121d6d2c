//! Rows of notifications.

use guard_app::ports::{StorageError, UnsentNotification};
use guard_domain::{
    ChannelAddress, ChannelName, ChannelType, ContactName, EscalationId, Notification,
    NotificationState, TenantId,
};
use uuid::Uuid;

use crate::database::{Row, Session};
use crate::row::Columns;

fn columns(row: &Row) -> Columns<'_> {
    Columns::new(row, "notifications", "escalation_id")
}

pub(super) fn notification(row: &Row) -> Result<Notification, StorageError> {
    let columns = columns(row);
    Ok(Notification {
        channel: columns.parse("channel", ChannelName::parse)?,
        channel_type: columns.parse("channel_type", ChannelType::parse)?,
        state: columns.parse("state", NotificationState::parse)?,
        attempts: columns.unsigned("attempts")?,
        detail: columns.get("detail")?,
        sent_at: columns.optional_moment("sent_at")?,
    })
}

/// A notification with its key, and the epoch of its last claim.
pub(super) struct Found {
    pub(super) tenant: TenantId,
    pub(super) escalation_id: EscalationId,
    pub(super) address: ChannelAddress,
    pub(super) notification: Notification,
    pub(super) epoch: u64,
}

impl Found {
    /// Reads a row. One that is damaged is taken out of the way, so that it does not hold up the others.
    pub(super) async fn take(
        session: &mut Session,
        row: &Row,
    ) -> Result<Option<Self>, StorageError> {
        match Self::read(row) {
            Ok(found) => Ok(Some(found)),
            Err(error @ StorageError::Inconsistent { .. }) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a damaged notification is set aside as dead"
                );
                session
                    .query(
                        "UPDATE notifications SET state = 'dead', detail = $4
                         WHERE tenant = $1 AND escalation_id = $2 AND channel = $3",
                    )
                    .bind(row.get::<String>("tenant")?)
                    .bind(row.get::<Uuid>("escalation_id")?)
                    .bind(row.get::<String>("channel")?)
                    .bind(error.to_string())
                    .execute()
                    .await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn read(row: &Row) -> Result<Self, StorageError> {
        let columns = columns(row);
        Ok(Self {
            tenant: columns.parse("tenant", TenantId::parse)?,
            escalation_id: EscalationId::from_uuid(columns.get("escalation_id")?),
            address: ChannelAddress {
                contact: columns.parse("contact", ContactName::parse)?,
                channel: columns.parse("channel", ChannelName::parse)?,
            },
            notification: notification(row)?,
            epoch: columns.unsigned("epoch")?,
        })
    }

    /// Ends it unsent; `None` if somebody else has changed it meanwhile.
    pub(super) async fn end(
        mut self,
        session: &mut Session,
        state: NotificationState,
        detail: String,
    ) -> Result<Option<UnsentNotification>, StorageError> {
        let changed = session
            .query(
                "UPDATE notifications SET state = $5, detail = $6, lease_owner = NULL
                 WHERE tenant = $1 AND escalation_id = $2 AND channel = $3 AND epoch = $4
                   AND state IN ('queued', 'sending')",
            )
            .bind(self.tenant.as_str())
            .bind(self.escalation_id.as_uuid())
            .bind(self.address.channel.as_str())
            .bind(i64::try_from(self.epoch).unwrap_or(i64::MAX))
            .bind(state.as_str())
            .bind(&detail)
            .execute()
            .await?;
        self.notification.state = state;
        self.notification.detail = Some(detail);
        Ok((changed == 1).then_some(UnsentNotification {
            tenant: self.tenant,
            escalation_id: self.escalation_id,
            address: self.address,
            notification: self.notification,
        }))
    }
}

/// The notifications of escalations whose ids are in a range, with the ids of the escalations.
pub(crate) async fn notifications_between(
    session: &mut Session,
    tenant: &TenantId,
    least: EscalationId,
    greatest: EscalationId,
) -> Result<Vec<(EscalationId, Notification)>, StorageError> {
    let rows = session
        .query(
            "SELECT * FROM notifications WHERE tenant = $1 AND escalation_id >= $2 AND escalation_id <= $3
             ORDER BY escalation_id, channel",
        )
        .bind(tenant.as_str())
        .bind(least.as_uuid())
        .bind(greatest.as_uuid())
        .fetch_all()
        .await?;
    let pair = |row: &Row| {
        let id: Uuid = columns(row).get("escalation_id")?;
        Ok((EscalationId::from_uuid(id), notification(row)?))
    };
    rows.iter().map(pair).collect()
}
