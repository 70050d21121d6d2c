//! Claiming what is due, and ending what is not to be sent.

use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{
    ClaimedNotification, Message, NotificationRequest, NotificationRound, StorageError,
    UnsentNotification,
};
use guard_domain::{Escalation, EscalationId, NotificationState, TenantId};
use uuid::Uuid;

use super::row::Found;
use super::to_json;
use crate::archive::escalation;
use crate::database::{Session, Sql, WholeLock};
use crate::row::micros;
use crate::store::Store;

/// Whether `t` is about the same as `n`, and as severe.
macro_rules! twin {
    () => {
        "t.tenant = n.tenant AND t.contact = n.contact AND t.channel = n.channel AND t.reason = n.reason
         AND t.rule_id = n.rule_id AND t.severity_rank >= n.severity_rank"
    };
}

const OVERDUE: &str = "SELECT * FROM notifications
     WHERE state IN ('queued', 'sending') AND deadline <= $1 AND (state = 'queued' OR next_attempt_at <= $1)
     LIMIT $2";

const REPEATS: &str = concat!(
    "SELECT * FROM (
         SELECT n.*, (SELECT t.escalation_id FROM notifications t
                      WHERE t.state = 'sent' AND t.sent_at > $3 AND ",
    twin!(),
    "                 ORDER BY t.sent_at DESC LIMIT 1) AS repeats
         FROM notifications n
         WHERE n.state IN ('queued', 'sending') AND n.state = 'queued' AND n.next_attempt_at <= $1) due
     WHERE repeats IS NOT NULL LIMIT $2"
);

/// One statement says both that no twin is being sent and that none was: between two of them it could end.
macro_rules! due {
    ($index:literal, $ready:literal) => {
        concat!(
            "SELECT n.* FROM notifications n ",
            $index,
            " WHERE n.state IN ('queued', 'sending') AND n.next_attempt_at <= $1 AND n.deadline > $1
                AND n.contact || '/' || n.channel IN (",
            $ready,
            ") AND ($3 >= $1 OR NOT EXISTS (
                    SELECT 1 FROM notifications t
                    WHERE t.state = 'sending' AND t.next_attempt_at > $1 AND ",
            twin!(),
            ") AND NOT EXISTS (
                    SELECT 1 FROM notifications t
                    WHERE t.state = 'sent' AND t.sent_at > $3 AND ",
            twin!(),
            "))
              ORDER BY n.severity_rank DESC, n.escalation_id LIMIT 1"
        )
    };
}

const DUE: Sql = Sql {
    sqlite: due!(
        "INDEXED BY notifications_due",
        "SELECT value FROM json_each($2)"
    ),
    postgres: due!("", "SELECT jsonb_array_elements_text($2::jsonb)"),
};

impl Store {
    pub(super) async fn claim_one_notification(
        &self,
        request: &NotificationRequest,
        limit: u32,
    ) -> Result<NotificationRound, StorageError> {
        let mut session = self.database.begin().await?;
        session.take_lock(WholeLock::Notifications).await?;
        let now = self.clock.now();
        let mut round = NotificationRound {
            claimed: None,
            ended: end_overdue(&mut session, now, limit).await?,
        };
        if request.repeat_after > TimeDelta::zero() {
            let repeats = end_repeats(&mut session, now, request.repeat_after, limit).await?;
            round.ended.extend(repeats);
        }
        match claim(&mut session, request, now).await? {
            Some(Claim::Taken(claimed)) => round.claimed = Some(*claimed),
            Some(Claim::SetAside(unsent)) => round.ended.push(*unsent),
            None => {}
        }
        session.commit().await?;
        Ok(round)
    }
}

async fn end_overdue(
    session: &mut Session,
    now: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<UnsentNotification>, StorageError> {
    let rows = session
        .query(OVERDUE)
        .bind(micros(now))
        .bind(i64::from(limit))
        .fetch_all()
        .await?;
    let mut ended = Vec::with_capacity(rows.len());
    for row in &rows {
        let Some(found) = Found::take(session, row).await? else {
            continue;
        };
        let detail = match &found.notification.detail {
            Some(detail) => format!("its deadline has passed; the last attempt: {detail}"),
            None => {
                "its deadline has passed, and no instance has sent over this channel".to_owned()
            }
        };
        ended.extend(found.end(session, NotificationState::Dead, detail).await?);
    }
    Ok(ended)
}

async fn end_repeats(
    session: &mut Session,
    now: DateTime<Utc>,
    repeat_after: TimeDelta,
    limit: u32,
) -> Result<Vec<UnsentNotification>, StorageError> {
    let rows = session
        .query(REPEATS)
        .bind(micros(now))
        .bind(i64::from(limit))
        .bind(micros(now - repeat_after))
        .fetch_all()
        .await?;
    let mut ended = Vec::with_capacity(rows.len());
    for row in &rows {
        let repeated: Uuid = row.get("repeats")?;
        let detail = format!("it repeats escalation {repeated}, which was sent shortly before");
        let Some(found) = Found::take(session, row).await? else {
            continue;
        };
        ended.extend(
            found
                .end(session, NotificationState::Repeated, detail)
                .await?,
        );
    }
    Ok(ended)
}

enum Claim {
    Taken(Box<ClaimedNotification>),
    /// It is damaged, and must not hold up the others.
    SetAside(Box<UnsentNotification>),
}

async fn claim(
    session: &mut Session,
    request: &NotificationRequest,
    now: DateTime<Utc>,
) -> Result<Option<Claim>, StorageError> {
    let row = session
        .query(DUE)
        .bind(micros(now))
        .bind(to_json(&request.ready))
        .bind(micros(now - request.repeat_after))
        .fetch_optional()
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let Some(found) = Found::take(session, &row).await? else {
        return Ok(None);
    };
    let escalation = match read_escalation(session, &found.tenant, found.escalation_id).await {
        Ok(escalation) => escalation,
        Err(error @ StorageError::Inconsistent { .. }) => {
            let set_aside = found
                .end(session, NotificationState::Dead, error.to_string())
                .await?;
            return Ok(set_aside.map(|unsent| Claim::SetAside(Box::new(unsent))));
        }
        Err(error) => return Err(error),
    };
    let lease = TimeDelta::from_std(request.lease).unwrap_or(TimeDelta::MAX);
    let changed = session
        .query(
            "UPDATE notifications
             SET state = 'sending', epoch = epoch + 1, attempts = attempts + 1, lease_owner = $5, next_attempt_at = $6
             WHERE tenant = $1 AND escalation_id = $2 AND channel = $3 AND epoch = $4
               AND state IN ('queued', 'sending')",
        )
        .bind(found.tenant.as_str())
        .bind(found.escalation_id.as_uuid())
        .bind(found.address.channel.as_str())
        .bind(i64::try_from(found.epoch).unwrap_or(i64::MAX))
        .bind(&request.instance)
        .bind(micros(now + lease))
        .execute()
        .await?;
    Ok((changed == 1).then(|| {
        Claim::Taken(Box::new(ClaimedNotification {
            message: Message {
                tenant: found.tenant,
                escalation,
                channel: found.address.channel,
                attempt: found.notification.attempts + 1,
            },
            epoch: found.epoch + 1,
        }))
    }))
}

async fn read_escalation(
    session: &mut Session,
    tenant: &TenantId,
    id: EscalationId,
) -> Result<Escalation, StorageError> {
    let row = session
        .query("SELECT * FROM escalations WHERE tenant = $1 AND escalation_id = $2")
        .bind(tenant.as_str())
        .bind(id.as_uuid())
        .fetch_optional()
        .await?;
    match row {
        Some(row) => escalation(&row),
        None => Err(StorageError::Inconsistent {
            table: "notifications",
            column: "escalation_id",
            key: id.to_string(),
            detail: "its escalation is gone".to_owned(),
        }),
    }
}
