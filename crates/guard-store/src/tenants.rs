//! Tenants.

mod limits;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use guard_app::ports::{
    Actor, AllTenants, Disabled, StorageError, Tenant, TenantLimits, TenantSource, Tenants,
};
use guard_domain::TenantId;
use tokio::sync::MutexGuard;
use tracing::instrument;

use crate::audit::{Chain, Record, Subject};
use crate::database::{Row, Session};
use crate::row::{micros, moment, text};
use crate::store::Store;

macro_rules! select_tenants {
    ($rest:literal) => {
        concat!(
            "SELECT tenant, label, limits, created_at, disabled_at, disabled_reason FROM tenants ",
            $rest
        )
    };
}

fn tenant(row: &Row) -> Result<Tenant, StorageError> {
    let id: &str = row.get("tenant")?;
    let wrong = |column, detail: String| StorageError::Inconsistent {
        table: "tenants",
        column,
        key: id.to_owned(),
        detail,
    };
    let disabled_at: Option<i64> = row.get("disabled_at")?;
    let reason: Option<String> = row.get("disabled_reason")?;
    Ok(Tenant {
        id: TenantId::parse(id).map_err(|error| wrong("tenant", error.to_string()))?,
        label: row.get("label")?,
        limits: limits::read(row.get("limits")?).map_err(|detail| wrong("limits", detail))?,
        created_at: moment(row.get("created_at")?),
        disabled: disabled_at.map(|at| Disabled {
            at: moment(at),
            reason: reason.unwrap_or_default(),
        }),
    })
}

/// Has a row for a tenant that comes into being with something of its own, if it has none yet.
pub(crate) async fn have_tenant(
    session: &mut Session,
    tenant: &TenantId,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    session
        .query("INSERT INTO tenants (tenant, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(tenant.as_str())
        .bind(micros(now))
        .execute()
        .await
        .map(drop)
}

async fn read(session: &mut Session, id: &TenantId) -> Result<Option<Tenant>, StorageError> {
    let row = session
        .query(select_tenants!("WHERE tenant = $1"))
        .bind(id.as_str())
        .fetch_optional()
        .await?;
    row.as_ref().map(tenant).transpose()
}

/// What was done to a tenant.
struct Deed<'a> {
    tenant: &'a TenantId,
    action: &'static str,
    message: String,
    actor: &'a Actor,
}

impl Store {
    /// Records a change of one row, `changed` of which were found to be another way before, and ends the transaction. What
    /// was that way already is not recorded again.
    async fn put_on_record(
        &self,
        mut session: Session,
        mut chain: MutexGuard<'_, Chain>,
        changed: u64,
        deed: Deed<'_>,
    ) -> Result<Option<Tenant>, StorageError> {
        let found = read(&mut session, deed.tenant).await?;
        if changed == 0 {
            return session.give_up(found).await;
        }
        let record = Record {
            tenant: deed.tenant,
            action: deed.action,
            actor: &deed.actor.subject,
            request_id: deed.actor.request_id.as_deref(),
            target: Some(format!("tenant:{}", deed.tenant)),
            subject: Subject::default(),
            message: &deed.message,
        };
        let head = self.write_act(&mut session, &mut chain, record).await?;
        session.commit().await?;
        chain.advance(head);
        Ok(found)
    }
}

#[async_trait]
impl Tenants for Store {
    #[instrument(name = "db.tenant.create", level = "debug", skip_all)]
    async fn create_tenant(
        &self,
        tenant: &Tenant,
        actor: &Actor,
    ) -> Result<Option<Tenant>, StorageError> {
        let mut session = self.database.begin_for(&tenant.id).await?;
        let chain = self.chain().await;
        let created = session
            .query(
                "INSERT INTO tenants (tenant, label, limits, created_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT DO NOTHING",
            )
            .bind(tenant.id.as_str())
            .bind(tenant.label.as_deref().map(text))
            .bind(limits::written(&tenant.limits))
            .bind(micros(tenant.created_at))
            .execute()
            .await?;
        let label = tenant.label.as_deref();
        let label = label.map_or_else(String::new, |label| format!(" ({label})"));
        let limits = limits::in_words(&tenant.limits);
        let deed = Deed {
            tenant: &tenant.id,
            action: "tenant_created",
            message: format!("The tenant was created{label}, with limits: {limits}"),
            actor,
        };
        let found = self.put_on_record(session, chain, created, deed).await?;
        Ok(found.filter(|_| created == 0))
    }

    #[instrument(name = "db.tenant.read", level = "debug", skip_all)]
    async fn read_tenant(&self, tenant: &TenantId) -> Result<Option<Tenant>, StorageError> {
        read(&mut self.database.reader_for(tenant).await?, tenant).await
    }

    #[instrument(name = "db.tenant.list", level = "debug", skip_all)]
    async fn list_tenants(&self, above: &str, limit: u32) -> Result<Vec<Tenant>, StorageError> {
        let rows = self
            .database
            .reader()
            .await?
            .query(select_tenants!(
                "WHERE tenant > $1 ORDER BY tenant LIMIT $2"
            ))
            .bind(above)
            .bind(i64::from(limit))
            .fetch_all()
            .await?;
        rows.iter().map(tenant).collect()
    }

    #[instrument(name = "db.tenant.limit", level = "debug", skip_all)]
    async fn limit_tenant(
        &self,
        tenant: &TenantId,
        limits: &TenantLimits,
        actor: &Actor,
    ) -> Result<Option<Tenant>, StorageError> {
        let mut session = self.database.begin_for(tenant).await?;
        let chain = self.chain().await;
        let changed = session
            .query(
                "UPDATE tenants SET limits = $2, version = version + 1
                 WHERE tenant = $1 AND limits <> $2",
            )
            .bind(tenant.as_str())
            .bind(limits::written(limits))
            .execute()
            .await?;
        let deed = Deed {
            tenant,
            action: "tenant_limited",
            message: format!("The tenant has other limits: {}", limits::in_words(limits)),
            actor,
        };
        self.put_on_record(session, chain, changed, deed).await
    }

    #[instrument(name = "db.tenant.disable", level = "debug", skip_all)]
    async fn disable_tenant(
        &self,
        tenant: &TenantId,
        reason: &str,
        actor: &Actor,
    ) -> Result<Option<Tenant>, StorageError> {
        let mut session = self.database.begin_for(tenant).await?;
        let chain = self.chain().await;
        let changed = session
            .query(
                "UPDATE tenants SET disabled_at = $2, disabled_reason = $3, version = version + 1
                 WHERE tenant = $1 AND disabled_at IS NULL",
            )
            .bind(tenant.as_str())
            .bind(micros(self.clock.now()))
            .bind(text(reason))
            .execute()
            .await?;
        let deed = Deed {
            tenant,
            action: "tenant_disabled",
            message: format!("The tenant was disabled: {reason}"),
            actor,
        };
        self.put_on_record(session, chain, changed, deed).await
    }

    #[instrument(name = "db.tenant.enable", level = "debug", skip_all)]
    async fn enable_tenant(
        &self,
        tenant: &TenantId,
        reason: &str,
        actor: &Actor,
    ) -> Result<Option<Tenant>, StorageError> {
        let mut session = self.database.begin_for(tenant).await?;
        let chain = self.chain().await;
        let changed = session
            .query(
                "UPDATE tenants SET disabled_at = NULL, disabled_reason = NULL, version = version + 1
                 WHERE tenant = $1 AND disabled_at IS NOT NULL",
            )
            .bind(tenant.as_str())
            .execute()
            .await?;
        let deed = Deed {
            tenant,
            action: "tenant_enabled",
            message: format!("The tenant was enabled: {reason}"),
            actor,
        };
        self.put_on_record(session, chain, changed, deed).await
    }
}

#[async_trait]
impl TenantSource for Store {
    #[instrument(name = "db.tenant.since", level = "debug", skip_all)]
    async fn tenants_since(&self, version: u64) -> Result<Option<AllTenants>, StorageError> {
        let mut session = self.database.reader().await?;
        // Read before the rows: what changes in between is read twice, and never missed.
        let now: i64 = session
            .query("SELECT CAST(coalesce(sum(version), 0) AS BIGINT) AS version FROM tenants")
            .scalar()
            .await?;
        let now = u64::try_from(now).unwrap_or(0);
        if now == version {
            return Ok(None);
        }
        let rows = session
            .query(select_tenants!("ORDER BY tenant"))
            .fetch_all()
            .await?;
        Ok(Some(AllTenants {
            version: now,
            tenants: rows.iter().map(tenant).collect::<Result<_, _>>()?,
        }))
    }
}
