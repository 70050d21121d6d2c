//! Ending what ran out of time.

use chrono::{DateTime, Utc};
use guard_app::ports::{Settled, StorageError};
use guard_domain::ExecutionState;

use super::claim::{key, quarantine};
use crate::database::{Row, Session, Sql};
use crate::execution::read;
use crate::row::micros;
use crate::store::Store;

impl Store {
    pub(crate) async fn expire_executions(&self, limit: u32) -> Result<Vec<Settled>, StorageError> {
        let now = self.clock.now();
        // Mostly none has, and then those who write are not kept waiting.
        let overdue: bool = self
            .database
            .reader()
            .await?
            .query(
                "SELECT EXISTS (SELECT 1 FROM rule_executions
                        WHERE state IN ('queued', 'dispatching') AND deadline <= $1)
             OR EXISTS (SELECT 1 FROM rule_executions
                        WHERE state IN ('acknowledged', 'started') AND confirm_by <= $1)",
            )
            .bind(micros(now))
            .scalar()
            .await?;
        if !overdue {
            return Ok(Vec::new());
        }
        let mut transaction = self.database.begin().await?;
        let now = self.clock.now();
        let due = transaction
            .query(Sql {
                sqlite: "SELECT tenant, execution_id FROM rule_executions
             WHERE state IN ('queued', 'dispatching') AND deadline <= $1
               AND (state = 'queued' OR next_attempt_at <= $1)
             UNION ALL
             SELECT tenant, execution_id FROM rule_executions
             WHERE state IN ('acknowledged', 'started') AND confirm_by <= $1
             LIMIT $2",
                postgres: "SELECT tenant, execution_id FROM rule_executions
             WHERE (state IN ('queued', 'dispatching') AND deadline <= $1
                    AND (state = 'queued' OR next_attempt_at <= $1))
                OR (state IN ('acknowledged', 'started') AND confirm_by <= $1)
             LIMIT $2
             FOR UPDATE SKIP LOCKED",
            })
            .bind(micros(now))
            .bind(i64::from(limit))
            .fetch_all()
            .await?;
        let mut expired = Vec::with_capacity(due.len());
        for row in &due {
            match self.expire_one(&mut transaction, row, now).await {
                Ok(settled) => expired.push(settled),
                Err(error) => quarantine(&mut transaction, row, error, now).await?,
            }
        }
        if due.is_empty() {
            transaction.roll_back().await?;
        } else {
            transaction.commit().await?;
        }
        Ok(expired)
    }

    async fn expire_one(
        &self,
        connection: &mut Session,
        row: &Row,
        now: DateTime<Utc>,
    ) -> Result<Settled, StorageError> {
        let (tenant, id) = key(row)?;
        let before = read(connection, &tenant, id).await?;
        let why = match (before.state, &before.message) {
            (ExecutionState::Acknowledged, _) => {
                "n8n took it, and no result was reported in time".to_owned()
            }
            (ExecutionState::Started, _) => {
                "the workflow began, and reported no result in time".to_owned()
            }
            (_, Some(message)) => format!("its deadline has passed; the last attempt: {message}"),
            (_, None) => "its deadline has passed".to_owned(),
        };
        let escalation = self
            .end_without_proof(connection, &tenant, &before, &why, now)
            .await?;
        let execution = read(connection, &tenant, id).await?;
        Ok(Settled {
            tenant,
            execution,
            ended: true,
            escalation,
        })
    }
}
