//! What a batch is decided by without asking the database, which says at the end whether it held.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, PoisonError};

use guard_app::ports::{Intake, StorageError};
use guard_domain::TenantId;

use crate::controls::{Control, read_control};
use crate::store::Store;

/// The live revision and the pauses of each tenant of a batch, as they were when this process last looked.
pub(super) struct Assumed(HashMap<TenantId, Arc<Control>>);

impl Assumed {
    pub(super) fn tenants(&self) -> impl Iterator<Item = (&TenantId, &Control)> {
        self.0
            .iter()
            .map(|(tenant, control)| (tenant, control.as_ref()))
    }

    /// For SQLite: a JSON array of `[tenant, live revision, pauses as they are stored]`.
    pub(super) fn to_json(&self) -> String {
        let rows: Vec<_> = self
            .tenants()
            .map(|(tenant, control)| {
                (
                    tenant.as_str(),
                    control.live_revision,
                    control.stored_pauses.as_deref().unwrap_or("[]"),
                )
            })
            .collect();
        serde_json::to_string(&rows).unwrap_or_else(|_| "[]".to_owned())
    }

    /// For PostgreSQL: the rows of `control`, each as one text of the tenant, the live revision and the pauses as they are stored, with
    /// spaces between. There is none for a tenant that has no row.
    pub(super) fn standings(&self) -> Vec<String> {
        let standing = |(tenant, control): (&TenantId, &Control)| {
            let pauses = control.stored_pauses.as_ref()?;
            Some(format!("{tenant} {} {pauses}", control.live_revision))
        };
        self.tenants().filter_map(standing).collect()
    }
}

impl Store {
    /// What a batch is decided by. The database is asked about tenants that are new to this process, and about those whose
    /// rules seem to be others than the live ones.
    pub(super) async fn assume(&self, intakes: &[Intake]) -> Result<Assumed, StorageError> {
        let mut assumed = HashMap::new();
        for intake in intakes {
            let Entry::Vacant(place) = assumed.entry(intake.tenant.clone()) else {
                continue;
            };
            let known = self.controls().get(&intake.tenant).cloned();
            let fits = |control: &Arc<Control>| {
                let mut own = intakes.iter().filter(|other| other.tenant == intake.tenant);
                own.all(|other| other.rules.revision() == control.live_revision)
            };
            let control = match known.filter(fits) {
                Some(control) => control,
                None => self.look_at_control(&intake.tenant).await?,
            };
            place.insert(control);
        }
        Ok(Assumed(assumed))
    }

    async fn look_at_control(&self, tenant: &TenantId) -> Result<Arc<Control>, StorageError> {
        let mut session = self.database.reader().await?;
        let control = Arc::new(read_control(&mut session, tenant).await?);
        self.controls().insert(tenant.clone(), control.clone());
        Ok(control)
    }

    /// Forgets what was assumed, because it does not hold.
    pub(super) fn assume_nothing(&self, assumed: &Assumed) {
        let mut controls = self.controls();
        for (tenant, _) in assumed.tenants() {
            controls.remove(tenant);
        }
    }

    fn controls(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, Arc<Control>>> {
        self.controls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
