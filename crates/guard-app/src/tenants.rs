//! Looking after tenants.

mod book;
mod order;

use std::sync::Arc;

use guard_domain::{FieldError, TenantId};
use thiserror::Error;

use crate::ports::{Clock, Principal, Scope, StorageError, Tenant, TenantLimits, Tenants};
use crate::queries::{Page, PageQuery, QueryError, limit_of};
pub use book::{TenantBook, TenantStanding};
pub use order::{LimitOrder, MAX_NAMED_SOURCES, QuotaOrder, TenantOrder};

/// Why a tenant is not created, shown or changed.
#[derive(Debug, Error)]
pub enum TenantError {
    /// What is wanted is not valid.
    #[error("the tenant is not valid")]
    Invalid(Vec<FieldError>),
    /// The principal may look only.
    #[error("only an administrator of tenant `default` may create or change tenants")]
    NotYours,
    /// There is no such tenant, or none that the principal may see.
    #[error("there is no such tenant")]
    NotFound,
    /// It is there, and another one than is wanted.
    #[error(
        "tenant `{0}` exists, with another label or other limits; PUT /v1/tenants/{0}/limits changes its limits"
    )]
    Exists(TenantId),
    /// Nobody could enable it again.
    #[error("tenant `default` cannot be disabled: whoever runs the guard is in it")]
    IsDefault,
    /// The page cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// It could not be recorded.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Creates, lists, limits, disables and enables tenants, on record.
///
/// An administrator of tenant `default` looks after all of them; one of another tenant sees their own, and changes nothing.
pub struct TenantService {
    /// The tenants.
    pub tenants: Arc<dyn Tenants>,
    /// Those that this process goes by.
    pub book: Arc<TenantBook>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl TenantService {
    /// Creates a tenant, unless it is there just as is wanted; says whether it was created now.
    ///
    /// # Errors
    /// [`TenantError::NotYours`], and [`TenantError::Exists`] if it is there with another label or other limits.
    pub async fn create(
        &self,
        principal: &Principal,
        request_id: &str,
        order: Result<TenantOrder, Vec<FieldError>>,
    ) -> Result<(Tenant, bool), TenantError> {
        if !looks_after_all(principal) {
            return Err(TenantError::NotYours);
        }
        let order = order.map_err(TenantError::Invalid)?;
        let tenant = Tenant {
            id: order.id,
            label: order.label,
            limits: order.limits,
            created_at: self.clock.now(),
            disabled: None,
        };
        let actor = principal.actor(request_id);
        match self.tenants.create_tenant(&tenant, &actor).await? {
            None => {
                self.look_again().await;
                Ok((tenant, true))
            }
            Some(there) if there.label == tenant.label && there.limits == tenant.limits => {
                Ok((there, false))
            }
            Some(there) => Err(TenantError::Exists(there.id)),
        }
    }

    /// A page of the tenants that the principal may see, by name; disabled ones too.
    ///
    /// # Errors
    /// [`TenantError::Query`].
    pub async fn list(
        &self,
        principal: &Principal,
        query: &PageQuery,
    ) -> Result<Page<Tenant>, TenantError> {
        let limit = limit_of(query)?;
        let above = query.cursor.as_deref().unwrap_or_default();
        if !above.is_empty() && TenantId::parse(above).is_err() {
            return Err(QueryError::Cursor.into());
        }
        let items = if looks_after_all(principal) {
            self.tenants.list_tenants(above, limit + 1).await?
        } else {
            let own = self.tenants.read_tenant(&principal.tenant).await?;
            own.into_iter()
                .filter(|own| own.id.as_str() > above)
                .collect()
        };
        Ok(Page::of_names(items, limit, |tenant| tenant.id.to_string()))
    }

    /// One tenant.
    ///
    /// # Errors
    /// [`TenantError::NotFound`] if the principal may not see it, or it is not there.
    pub async fn read(&self, principal: &Principal, name: &str) -> Result<Tenant, TenantError> {
        let id = visible(principal, name)?;
        let found = self.tenants.read_tenant(&id).await?;
        found.ok_or(TenantError::NotFound)
    }

    /// Gives a tenant limits in place of those it had. Every instance goes by them within five seconds.
    ///
    /// # Errors
    /// [`TenantError::NotFound`], [`TenantError::NotYours`].
    pub async fn limit(
        &self,
        principal: &Principal,
        request_id: &str,
        name: &str,
        limits: Result<TenantLimits, Vec<FieldError>>,
    ) -> Result<Tenant, TenantError> {
        let id = changeable(principal, name)?;
        let limits = limits.map_err(TenantError::Invalid)?;
        let actor = principal.actor(request_id);
        let limited = self.tenants.limit_tenant(&id, &limits, &actor).await?;
        self.changed(limited).await
    }

    /// Disables a tenant: every instance refuses its tokens within five seconds.
    ///
    /// # Errors
    /// [`TenantError::NotFound`], [`TenantError::NotYours`], [`TenantError::IsDefault`], and [`TenantError::Invalid`] for a
    /// reason that is none.
    pub async fn disable(
        &self,
        principal: &Principal,
        request_id: &str,
        name: &str,
        reason: &str,
    ) -> Result<Tenant, TenantError> {
        let id = changeable(principal, name)?;
        if id == TenantId::default_tenant() {
            return Err(TenantError::IsDefault);
        }
        let reason = order::reason(reason).map_err(TenantError::Invalid)?;
        let actor = principal.actor(request_id);
        let disabled = self.tenants.disable_tenant(&id, reason, &actor).await?;
        self.changed(disabled).await
    }

    /// Enables a tenant: every instance accepts its tokens within five seconds.
    ///
    /// # Errors
    /// As [`TenantService::disable`].
    pub async fn enable(
        &self,
        principal: &Principal,
        request_id: &str,
        name: &str,
        reason: &str,
    ) -> Result<Tenant, TenantError> {
        let id = changeable(principal, name)?;
        let reason = order::reason(reason).map_err(TenantError::Invalid)?;
        let actor = principal.actor(request_id);
        let enabled = self.tenants.enable_tenant(&id, reason, &actor).await?;
        self.changed(enabled).await
    }

    async fn changed(&self, tenant: Option<Tenant>) -> Result<Tenant, TenantError> {
        self.look_again().await;
        tenant.ok_or(TenantError::NotFound)
    }

    /// What was done holds in this process at once. If it cannot be read now it will be soon, and it is done all the same.
    async fn look_again(&self) {
        if let Err(error) = self.book.refresh().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "tenants cannot be read"
            );
        }
    }
}

/// Whether somebody is an administrator of tenant `default`.
fn looks_after_all(principal: &Principal) -> bool {
    principal.tenant == TenantId::default_tenant() && principal.may(Scope::Admin)
}

/// The tenant of a name, as far as the principal may see it. What is no slug names nothing.
fn visible(principal: &Principal, name: &str) -> Result<TenantId, TenantError> {
    let id = TenantId::parse(name).map_err(|_| TenantError::NotFound)?;
    if id == principal.tenant || looks_after_all(principal) {
        Ok(id)
    } else {
        Err(TenantError::NotFound)
    }
}

/// The tenant of a name, if the principal may change it.
fn changeable(principal: &Principal, name: &str) -> Result<TenantId, TenantError> {
    let id = visible(principal, name)?;
    if looks_after_all(principal) {
        Ok(id)
    } else {
        Err(TenantError::NotYours)
    }
}
