//! What runs beside the requests.

use guard_app::Reconciler;
use tokio::task::JoinSet;

use super::Guard;
use super::housekeeping::{fold_metrics, keep_house, keep_up};
use crate::config::Settings;

impl Guard {
    /// Begins what runs in the background: delivering, sending, probing n8n, signing the audit trail, housekeeping.
    pub fn start_background(&self, settings: &Settings) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let stop = &self.stops.background;
        tasks.spawn(self.dispatcher.clone().run(stop.clone()));
        tasks.spawn(self.courier.clone().run(stop.clone()));
        let (health, every, stopped) = (
            self.health.clone(),
            settings.n8n_probe_interval,
            stop.clone(),
        );
        tasks.spawn(async move { health.probe(every, stopped).await });
        tasks.spawn(self.reconciler(settings).run(stop.clone()));
        tasks.spawn(self.tenants.clone().follow(stop.clone()));
        tasks.spawn(self.authenticator.clone().write_uses(stop.clone()));
        if let Some(jwks) = &self.jwks {
            tasks.spawn(jwks.clone().follow(stop.clone()));
        }
        tasks.spawn(fold_metrics(self.api.clone(), stop.clone()));
        tasks.spawn(self.checkpointer.clone().run(stop.clone()));
        tasks.spawn(keep_house(
            self.store.clone(),
            self.checkpointer.clone(),
            settings.instance_id.clone(),
            settings.retention,
            stop.clone(),
        ));
        tasks.spawn(keep_up(
            self.store.clone(),
            self.database_clock.clone(),
            self.rules.book.clone(),
            stop.clone(),
        ));
        tasks
    }

    fn reconciler(&self, settings: &Settings) -> Reconciler {
        Reconciler {
            leases: self.store.clone(),
            outbox: self.store.clone(),
            playbooks: self.health.playbooks.clone(),
            clock: self.health.clock.clone(),
            instance: settings.instance_id.clone(),
            every: settings.n8n_reconcile_interval,
        }
    }
}
