//! Notifications: the outbox of the channels.
//!
//! Rows are made by [`Store::raise`]. Claims are made one after the other, whichever the instance, so that none finds what
//! another is about to take or to end.

mod claim;
mod row;

use std::collections::BTreeSet;

use async_trait::async_trait;
use guard_app::ports::{
    AfterSending, ClaimedNotification, NotificationRequest, NotificationRound, Notifications,
    StorageError, WaitingNotifications,
};
use guard_domain::ChannelAddress;
use tracing::instrument;

use crate::database::Sql;
use crate::row::{micros, moment, text};
use crate::store::Store;
pub(crate) use row::notifications_between;

/// A JSON array of channels, each written `contact/channel`.
fn to_json(channels: &BTreeSet<ChannelAddress>) -> String {
    let channels: Vec<String> = channels.iter().map(ToString::to_string).collect();
    serde_json::to_string(&channels).unwrap_or_else(|_| "[]".to_owned())
}

/// What waits; what cannot be sent from here runs out of time.
macro_rules! waiting {
    ($ready:literal) => {
        concat!(
            "SELECT count(*) AS open,
                    min(CASE WHEN contact || '/' || channel IN (",
            $ready,
            ") THEN next_attempt_at ELSE deadline END) AS due
             FROM notifications WHERE state IN ('queued', 'sending')"
        )
    };
}

const WAITING: Sql = Sql {
    sqlite: waiting!("SELECT value FROM json_each($1)"),
    postgres: waiting!("SELECT jsonb_array_elements_text($1::jsonb)"),
};

#[async_trait]
impl Notifications for Store {
    #[instrument(name = "db.notification.claim", level = "debug", skip_all)]
    async fn claim_notification(
        &self,
        request: &NotificationRequest,
        limit: u32,
    ) -> Result<NotificationRound, StorageError> {
        self.claim_one_notification(request, limit).await
    }

    #[instrument(name = "db.notification.settle", level = "debug", skip_all)]
    async fn settle_notification(
        &self,
        claimed: &ClaimedNotification,
        detail: &str,
        next: AfterSending,
    ) -> Result<bool, StorageError> {
        let now = micros(self.clock.now());
        let (state, due, sent_at) = match next {
            AfterSending::Sent => ("sent", now, Some(now)),
            AfterSending::Retry { at } => ("queued", micros(at), None),
            AfterSending::GiveUp => ("dead", now, None),
        };
        let mut session = self.database.begin().await?;
        let changed = session
            .query(
                "UPDATE notifications
                 SET state = $5, detail = $6, sent_at = $7, lease_owner = NULL,
                     next_attempt_at = CASE WHEN deadline < $8 THEN deadline ELSE $8 END
                 WHERE tenant = $1 AND escalation_id = $2 AND channel = $3 AND epoch = $4 AND state = 'sending'",
            )
            .bind(claimed.message.tenant.as_str())
            .bind(claimed.message.escalation.id.as_uuid())
            .bind(claimed.message.channel.as_str())
            .bind(i64::try_from(claimed.epoch).unwrap_or(i64::MAX))
            .bind(state)
            .bind(text(detail))
            .bind(sent_at)
            .bind(due)
            .execute()
            .await?;
        session.commit().await?;
        Ok(changed == 1)
    }

    #[instrument(name = "db.notification.waiting", level = "debug", skip_all)]
    async fn waiting_notifications(
        &self,
        ready: &BTreeSet<ChannelAddress>,
    ) -> Result<WaitingNotifications, StorageError> {
        let mut session = self.database.reader().await?;
        let row = session
            .query(WAITING)
            .bind(to_json(ready))
            .fetch_one()
            .await?;
        let (open, due): (i64, Option<i64>) = (row.get("open")?, row.get("due")?);
        Ok(WaitingNotifications {
            open: u64::try_from(open).unwrap_or_default(),
            next_due: due.map(moment),
        })
    }
}
