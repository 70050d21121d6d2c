//! A playbook runner that answers as scripted.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use guard_app::ports::{Delivery, DeliveryOutcome, Playbooks, Reachability};
use tokio::sync::Notify;

/// Answers with the outcomes it was given, then with an acknowledgement each time, and keeps what was delivered.
#[derive(Debug, Default)]
pub struct ScriptedPlaybooks {
    script: Mutex<VecDeque<DeliveryOutcome>>,
    deliveries: Mutex<Vec<Delivery>>,
    delivered: Notify,
    held: Mutex<bool>,
    released: Notify,
}

impl ScriptedPlaybooks {
    /// The next answers.
    pub fn answer(&self, outcomes: impl IntoIterator<Item = DeliveryOutcome>) {
        self.script.lock().expect("no panic").extend(outcomes);
    }

    /// Lets every delivery wait for its answer until [`ScriptedPlaybooks::release`].
    pub fn hold(&self) {
        *self.held.lock().expect("no panic") = true;
    }

    /// Answers what waits.
    pub fn release(&self) {
        *self.held.lock().expect("no panic") = false;
        self.released.notify_waiters();
    }

    /// What was delivered so far.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries.lock().expect("no panic").clone()
    }

    /// Waits until so many deliveries were made.
    pub async fn wait_for(&self, count: usize) -> Vec<Delivery> {
        loop {
            let notified = self.delivered.notified();
            let deliveries = self.deliveries();
            if deliveries.len() >= count {
                return deliveries;
            }
            notified.await;
        }
    }
}

#[async_trait]
impl Playbooks for ScriptedPlaybooks {
    async fn deliver(&self, delivery: &Delivery) -> DeliveryOutcome {
        self.deliveries
            .lock()
            .expect("no panic")
            .push(delivery.clone());
        self.delivered.notify_waiters();
        loop {
            let released = self.released.notified();
            if !*self.held.lock().expect("no panic") {
                break;
            }
            released.await;
        }
        let scripted = self.script.lock().expect("no panic").pop_front();
        scripted.unwrap_or(DeliveryOutcome::Acknowledged {
            status: 200,
            detail: "n8n answered 200".to_owned(),
        })
    }

    async fn probe(&self) -> Reachability {
        Reachability::Up
    }
}
