//! Waiting for the acknowledgement of a playbook that was just triggered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use guard_domain::{EventId, ExecutionState};
use tokio::sync::oneshot;

/// Who waits for which event's execution.
///
/// Waiting is registered before the commit, so that no acknowledgement is missed; it holds neither a thread nor a
/// connection.
#[derive(Debug, Default)]
pub struct Acknowledgements {
    waiting: Mutex<HashMap<EventId, oneshot::Sender<ExecutionState>>>,
}

/// Somebody who waits. Whoever goes away in whatever manner stops waiting.
#[derive(Debug)]
pub(crate) struct Waiting {
    list: Arc<Acknowledgements>,
    event: EventId,
    state: oneshot::Receiver<ExecutionState>,
}

impl Waiting {
    /// The state of the execution once it has been delivered or has ended; `None` if nobody will tell.
    pub(crate) async fn state(&mut self) -> Option<ExecutionState> {
        (&mut self.state).await.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.list.waiting().remove(&self.event);
    }
}

impl Acknowledgements {
    fn waiting(&self) -> MutexGuard<'_, HashMap<EventId, oneshot::Sender<ExecutionState>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait for the execution of an event.
    pub(crate) fn register(self: &Arc<Self>, event: EventId) -> Waiting {
        let (sender, state) = oneshot::channel();
        self.waiting().insert(event, sender);
        Waiting {
            list: self.clone(),
            event,
            state,
        }
    }

    /// Tells who waits that the execution of an event has been delivered or has ended.
    pub(crate) fn tell(&self, event: EventId, state: ExecutionState) {
        if let Some(sender) = self.waiting().remove(&event) {
            // Who waited may have gone.
            let _ = sender.send(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[tokio::test]
    async fn who_goes_away_is_forgotten() {
        let list = Arc::new(Acknowledgements::default());
        let event = EventId::new(DateTime::UNIX_EPOCH, [1; 10]);
        let mut first = list.register(event);
        list.tell(event, ExecutionState::Acknowledged);
        assert_eq!(first.state().await, Some(ExecutionState::Acknowledged));
        drop(list.register(event));
        assert!(list.waiting().is_empty());
    }
}
