//! Deliveries under way.

use std::collections::HashMap;

use guard_domain::PlaybookName;
use tokio::task::{Id, JoinSet};

/// The deliveries under way.
#[derive(Default)]
pub(super) struct InFlight {
    pub(super) tasks: JoinSet<()>,
    pub(super) playbooks: HashMap<Id, PlaybookName>,
}

impl InFlight {
    /// The playbooks that have all the deliveries under way that one may have.
    pub(super) fn crowded(&self, most: usize) -> Vec<PlaybookName> {
        let mut counts: HashMap<&PlaybookName, usize> = HashMap::new();
        for playbook in self.playbooks.values() {
            *counts.entry(playbook).or_default() += 1;
        }
        counts
            .into_iter()
            .filter(|(_, count)| *count >= most)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Waits until a delivery has ended; gives the playbook of one that broke off.
    pub(super) async fn next_end(&mut self) -> Option<PlaybookName> {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => _ = self.playbooks.remove(&id),
            Some(Err(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a delivery broke off"
                );
                return self.playbooks.remove(&error.id());
            }
            None => std::future::pending().await,
        }
        None
    }
}
