//! Tenants, as they are stored.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use guard_domain::{Source, TenantId};

use super::{Actor, RateQuota, StorageError};

/// How many events sources may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceLimit {
    /// As many as they like.
    Unlimited,
    /// So many.
    Quota(RateQuota),
}

impl SourceLimit {
    /// The quota, if there is one.
    #[must_use]
    pub const fn quota(self) -> Option<RateQuota> {
        match self {
            Self::Unlimited => None,
            Self::Quota(quota) => Some(quota),
        }
    }
}

/// The limits of a tenant's own; what is not here is as the configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantLimits {
    /// Of every source that is not named.
    pub rate_limit: Option<SourceLimit>,
    /// Of single sources.
    pub sources: BTreeMap<Source, SourceLimit>,
}

/// A tenant, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its name.
    pub id: TenantId,
    /// What people call it.
    pub label: Option<String>,
    /// Its limits.
    pub limits: TenantLimits,
    /// When it came into being.
    pub created_at: DateTime<Utc>,
    /// Since when it is disabled, and why.
    pub disabled: Option<Disabled>,
}

/// Since when a tenant is disabled, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disabled {
    /// Since when.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

/// Every tenant at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllTenants {
    /// A number that grows with every change to any of them.
    pub version: u64,
    /// The tenants.
    pub tenants: Vec<Tenant>,
}

/// Where a process follows all tenants from.
#[async_trait]
pub trait TenantSource: Send + Sync {
    /// Every tenant, if anything has changed since a version.
    async fn tenants_since(&self, version: u64) -> Result<Option<AllTenants>, StorageError>;
}

/// Stored tenants.
#[async_trait]
pub trait Tenants: Send + Sync {
    /// Stores a tenant on record, unless there is one of its name: that one is given then.
    async fn create_tenant(
        &self,
        tenant: &Tenant,
        actor: &Actor,
    ) -> Result<Option<Tenant>, StorageError>;

    /// A tenant; disabled ones too.
    async fn read_tenant(&self, tenant: &TenantId) -> Result<Option<Tenant>, StorageError>;

    /// Tenants whose names are above one, by name; disabled ones too.
    async fn list_tenants(&self, above: &str, limit: u32) -> Result<Vec<Tenant>, StorageError>;

    /// Gives a tenant other limits, on record unless they are the same. `None` if there is no such tenant.
    async fn limit_tenant(
        &self,
        tenant: &TenantId,
        limits: &TenantLimits,
        actor: &Actor,
    ) -> Result<Option<Tenant>, StorageError>;

    /// Disables a tenant, on record; one that is disabled stays so since then. `None` if there is no such tenant.
    async fn disable_tenant(
        &self,
        tenant: &TenantId,
        reason: &str,
        actor: &Actor,
    ) -> Result<Option<Tenant>, StorageError>;

    /// Enables a tenant, on record; one that is not disabled stays as it is. `None` if there is no such tenant.
    async fn enable_tenant(
        &self,
        tenant: &TenantId,
        reason: &str,
        actor: &Actor,
    ) -> Result<Option<Tenant>, StorageError>;
}
