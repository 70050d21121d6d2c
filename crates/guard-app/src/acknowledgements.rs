//! Waiting for the acknowledgement of a playbook that was just triggered.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

impl Acknowledgements {
    fn waiting(&self) -> MutexGuard<'_, HashMap<EventId, oneshot::Sender<ExecutionState>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait for the execution of an event.
    pub(crate) fn register(&self, event: EventId) -> oneshot::Receiver<ExecutionState> {
        let (sender, receiver) = oneshot::channel();
        self.waiting().insert(event, sender);
        receiver
    }

    /// Stops waiting.
    pub(crate) fn forget(&self, event: EventId) {
        self.waiting().remove(&event);
    }

    /// Tells who waits that the execution of an event has been delivered or has ended.
    pub(crate) fn tell(&self, event: EventId, state: ExecutionState) {
        if let Some(sender) = self.waiting().remove(&event) {
            // Who waited may have gone.
            let _ = sender.send(state);
        }
    }
}
