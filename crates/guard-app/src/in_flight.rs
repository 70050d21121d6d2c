//! Work under way.

use std::collections::HashMap;
use std::hash::Hash;

use tokio::task::{Id, JoinSet};

/// Tasks under way, each for the sake of a playbook, a channel or the like.
pub(crate) struct InFlight<K> {
    pub(crate) tasks: JoinSet<()>,
    sakes: HashMap<Id, K>,
}

impl<K> Default for InFlight<K> {
    fn default() -> Self {
        Self {
            tasks: JoinSet::new(),
            sakes: HashMap::new(),
        }
    }
}

impl<K: Clone + Eq + Hash> InFlight<K> {
    /// Begins a task.
    pub(crate) fn begin(&mut self, sake: K, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.tasks.spawn(task).id();
        self.sakes.insert(id, sake);
    }

    /// How many tasks are under way for the sake of each.
    pub(crate) fn counts(&self) -> HashMap<&K, usize> {
        let mut counts = HashMap::new();
        for sake in self.sakes.values() {
            *counts.entry(sake).or_default() += 1;
        }
        counts
    }

    /// Those that have all the tasks under way that one may have.
    pub(crate) fn crowded(&self, most: usize) -> Vec<K> {
        let crowded = self
            .counts()
            .into_iter()
            .filter(|(_, count)| *count >= most);
        crowded.map(|(sake, _)| sake.clone()).collect()
    }

    /// Waits until a task has ended; gives for whose sake one was that broke off.
    pub(crate) async fn next_end(&mut self) -> Option<K> {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => _ = self.sakes.remove(&id),
            Some(Err(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a delivery broke off"
                );
                return self.sakes.remove(&error.id());
            }
            None => std::future::pending().await,
        }
        None
    }

    /// Waits until every task has ended.
    pub(crate) async fn drain(&mut self) {
        while !self.tasks.is_empty() {
            self.next_end().await;
        }
    }
}
