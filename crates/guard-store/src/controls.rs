//! Pauses and the guard's own keys.

use async_trait::async_trait;
use guard_app::ports::{Actor, Controls, Pause, PauseScope, StorageError};
use guard_domain::TenantId;
use serde::{Deserialize, Serialize};

use tracing::instrument;

use crate::audit::{Record, Subject};
use crate::database::{Session, Sql, WholeLock};
use crate::row::{micros, moment};
use crate::store::Store;

/// A pause as it is stored in `control.pauses`.
#[derive(Serialize, Deserialize)]
struct PauseRow {
    scope: String,
    reason: String,
    by: String,
    at: i64,
}

/// The row of `control` of a tenant, or what stands for a missing one.
#[derive(Default)]
pub(crate) struct Control {
    pub(crate) live_revision: u64,
    pub(crate) pauses: Vec<Pause>,
    /// The pauses as the text that is stored; nothing if there is no row.
    pub(crate) stored_pauses: Option<String>,
}

pub(crate) async fn read_control(
    connection: &mut Session,
    tenant: &TenantId,
) -> Result<Control, StorageError> {
    let row = connection
        .query("SELECT live_revision, pauses FROM control WHERE tenant = $1")
        .bind(tenant.as_str())
        .fetch_optional()
        .await?;
    let Some(row) = row else {
        return Ok(Control::default());
    };
    let wrong = |column, detail: String| StorageError::Inconsistent {
        table: "control",
        column,
        key: tenant.to_string(),
        detail,
    };
    let revision: i64 = row.get("live_revision")?;
    let pauses: &str = row.get("pauses")?;
    let rows: Vec<PauseRow> =
        serde_json::from_str(pauses).map_err(|error| wrong("pauses", error.to_string()))?;
    let pause = |row: PauseRow| {
        Ok(Pause {
            scope: PauseScope::parse(&row.scope)
                .map_err(|error| wrong("pauses", error.to_string()))?,
            reason: row.reason,
            paused_by: row.by,
            paused_at: moment(row.at),
        })
    };
    Ok(Control {
        live_revision: u64::try_from(revision)
            .map_err(|error| wrong("live_revision", error.to_string()))?,
        pauses: rows
            .into_iter()
            .map(pause)
            .collect::<Result<_, StorageError>>()?,
        stored_pauses: Some(pauses.to_owned()),
    })
}

impl Store {
    /// Changes what is paused, on record.
    async fn change_pauses(
        &self,
        tenant: &TenantId,
        actor: &Actor,
        (action, scope, message): (&'static str, &PauseScope, &str),
        change: impl FnOnce(&mut Vec<Pause>) + Send,
    ) -> Result<Vec<Pause>, StorageError> {
        let mut transaction = self.database.begin_for(tenant).await?;
        let mut chain = self.chain().await;
        transaction.take_lock(WholeLock::Control).await?;
        let mut pauses = read_control(&mut transaction, tenant).await?.pauses;
        change(&mut pauses);
        let rows: Vec<_> = pauses
            .iter()
            .map(|pause| PauseRow {
                scope: pause.scope.to_string(),
                reason: pause.reason.clone(),
                by: pause.paused_by.clone(),
                at: micros(pause.paused_at),
            })
            .collect();
        let text = serde_json::to_string(&rows).unwrap_or_else(|_| "[]".to_owned());
        transaction
            .query(
                "INSERT INTO control (tenant, pauses) VALUES ($1, $2)
             ON CONFLICT (tenant) DO UPDATE SET pauses = excluded.pauses",
            )
            .bind(tenant.as_str())
            .bind(text)
            .execute()
            .await?;
        let record = Record {
            tenant,
            action,
            actor: &actor.subject,
            request_id: actor.request_id.as_deref(),
            target: Some(scope.to_string()),
            subject: Subject::default(),
            message,
        };
        let head = self.write_act(&mut transaction, &mut chain, record).await?;
        transaction.commit().await?;
        chain.advance(head);
        Ok(pauses)
    }
}

#[async_trait]
impl Controls for Store {
    #[instrument(name = "db.control.pauses", level = "debug", skip_all)]
    async fn pauses(&self, tenant: &TenantId) -> Result<Vec<Pause>, StorageError> {
        let mut connection = self.database.reader_for(tenant).await?;
        Ok(read_control(&mut connection, tenant).await?.pauses)
    }

    #[instrument(name = "db.control.pause", level = "debug", skip_all)]
    async fn pause(
        &self,
        tenant: &TenantId,
        scope: &PauseScope,
        reason: &str,
        actor: &Actor,
    ) -> Result<Vec<Pause>, StorageError> {
        let pause = Pause {
            scope: scope.clone(),
            reason: reason.to_owned(),
            paused_by: actor.subject.clone(),
            paused_at: self.clock.now(),
        };
        self.change_pauses(
            tenant,
            actor,
            ("paused", scope, reason),
            |pauses| match pauses.iter_mut().find(|known| known.scope == pause.scope) {
                Some(known) => known.reason = pause.reason,
                None => pauses.push(pause),
            },
        )
        .await
    }

    #[instrument(name = "db.control.resume", level = "debug", skip_all)]
    async fn resume(
        &self,
        tenant: &TenantId,
        scope: &PauseScope,
        reason: &str,
        actor: &Actor,
    ) -> Result<Vec<Pause>, StorageError> {
        self.change_pauses(tenant, actor, ("resumed", scope, reason), |pauses| {
            pauses.retain(|known| known.scope != *scope);
        })
        .await
    }

    #[instrument(name = "db.control.find_callback_key", level = "debug", skip_all)]
    async fn find_callback_key(&self, tenant: &TenantId) -> Result<Option<[u8; 32]>, StorageError> {
        let kept: Option<Option<Vec<u8>>> = self
            .database
            .reader_for(tenant)
            .await?
            .query("SELECT callback_key FROM control WHERE tenant = $1")
            .bind(tenant.as_str())
            .optional_scalar()
            .await?;
        kept.flatten().map(|kept| to_key(tenant, kept)).transpose()
    }

    #[instrument(name = "db.control.make_callback_key", level = "debug", skip_all)]
    async fn make_callback_key(
        &self,
        tenant: &TenantId,
        fresh: [u8; 32],
    ) -> Result<[u8; 32], StorageError> {
        let mut transaction = self.database.begin_for(tenant).await?;
        let kept: Vec<u8> = transaction.query(
            "INSERT INTO control (tenant, callback_key) VALUES ($1, $2)
             ON CONFLICT (tenant) DO UPDATE SET callback_key = coalesce(control.callback_key, excluded.callback_key)
             RETURNING callback_key",
        )
        .bind(tenant.as_str())
        .bind(fresh.to_vec()).scalar().await?;
        transaction.commit().await?;
        to_key(tenant, kept)
    }

    #[instrument(name = "db.control.ping", level = "debug", skip_all)]
    async fn ping(&self) -> Result<(), StorageError> {
        // Reading would still go where writing does not.
        let mut session = self.database.begin().await?;
        let lock = Sql {
            sqlite: "SELECT 1",
            postgres: "SELECT 1 FROM control LIMIT 1 FOR SHARE",
        };
        session.query(lock).execute().await?;
        session.roll_back().await
    }
}

fn to_key(tenant: &TenantId, kept: Vec<u8>) -> Result<[u8; 32], StorageError> {
    kept.try_into()
        .map_err(|kept: Vec<u8>| StorageError::Inconsistent {
            table: "control",
            column: "callback_key",
            key: tenant.to_string(),
            detail: format!("{} bytes instead of 32", kept.len()),
        })
}
