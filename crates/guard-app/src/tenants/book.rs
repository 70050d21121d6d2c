//! Every tenant, in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use guard_domain::TenantId;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::ports::{StorageError, Tenant, TenantLimits, TenantSource};

/// How often to look at what other processes have changed.
const EVERY: Duration = Duration::from_secs(1);

/// Whether tokens of a tenant are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantStanding {
    /// They are.
    Active,
    /// It is disabled.
    Disabled,
    /// Nobody has created it, or within the last second.
    Unknown,
}

#[derive(Default)]
struct Held {
    version: u64,
    tenants: HashMap<TenantId, Tenant>,
}

/// Holds every tenant: reading takes no lock and waits for nothing.
pub struct TenantBook {
    store: Arc<dyn TenantSource>,
    held: ArcSwap<Held>,
    reading: Mutex<()>,
}

impl TenantBook {
    /// A book that holds nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn TenantSource>) -> Self {
        Self {
            store,
            held: ArcSwap::default(),
            reading: Mutex::default(),
        }
    }

    /// Whether tokens of a tenant are accepted.
    #[must_use]
    pub fn standing(&self, tenant: &TenantId) -> TenantStanding {
        match self.held.load().tenants.get(tenant) {
            Some(found) if found.disabled.is_some() => TenantStanding::Disabled,
            Some(_) => TenantStanding::Active,
            None => TenantStanding::Unknown,
        }
    }

    /// What `look` makes of the limits of a tenant; `None` if it is not known.
    pub(crate) fn with_limits<T>(
        &self,
        tenant: &TenantId,
        look: impl FnOnce(&TenantLimits) -> T,
    ) -> Option<T> {
        let held = self.held.load();
        held.tenants.get(tenant).map(|tenant| look(&tenant.limits))
    }

    /// Reads every tenant from the database if anything has changed.
    ///
    /// # Errors
    /// [`StorageError`] if they cannot be read; what is held stays.
    pub async fn refresh(&self) -> Result<(), StorageError> {
        // Of two that read at once, the one that has read less would overwrite the other.
        let _reading = self.reading.lock().await;
        let Some(all) = self.store.tenants_since(self.held.load().version).await? else {
            return Ok(());
        };
        let tenants = all.tenants.into_iter();
        self.held.store(Arc::new(Held {
            version: all.version,
            tenants: tenants.map(|tenant| (tenant.id.clone(), tenant)).collect(),
        }));
        Ok(())
    }

    /// Follows what other processes change, until it is stopped.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            if let Err(error) = self.refresh().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "tenants cannot be read"
                );
            }
        }
    }
}
