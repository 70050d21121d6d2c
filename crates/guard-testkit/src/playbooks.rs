//! A playbook runner that answers as scripted.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;
use guard_app::ports::{
    Answered, Delivery, DeliveryOutcome, Playbooks, Presence, Reachability, RunStatus,
};
use guard_domain::PlaybookName;
use tokio::sync::Notify;

/// Answers with the outcomes it was given, then with an acknowledgement each time, and keeps what was delivered.
#[derive(Debug, Default)]
pub struct ScriptedPlaybooks {
    script: Mutex<VecDeque<DeliveryOutcome>>,
    deliveries: Mutex<Vec<Delivery>>,
    missing: Mutex<HashSet<PlaybookName>>,
    runs: Mutex<HashMap<String, RunStatus>>,
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

    /// Has a playbook go missing, or come back.
    pub fn set_missing(&self, playbook: &str, missing: bool) {
        let name = PlaybookName::parse(playbook).expect("a slug");
        let mut known = self.missing.lock().expect("no panic");
        if missing {
            known.insert(name);
        } else {
            known.remove(&name);
        }
    }

    /// What is said about a run; the others go on.
    pub fn set_run_status(&self, run_id: &str, status: RunStatus) {
        let mut runs = self.runs.lock().expect("no panic");
        runs.insert(run_id.to_owned(), status);
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
    async fn deliver(&self, delivery: &Delivery) -> Answered {
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
        let outcome = scripted.unwrap_or(DeliveryOutcome::Acknowledged {
            status: 200,
            detail: "n8n answered 200".to_owned(),
        });
        outcome.into()
    }

    async fn probe(&self) -> Reachability {
        Reachability::Up
    }

    async fn probe_playbook(&self, playbook: &PlaybookName) -> Presence {
        if self.missing.lock().expect("no panic").contains(playbook) {
            return Presence::Missing("it is not there".to_owned());
        }
        Presence::Present
    }

    fn tells_run_status(&self) -> bool {
        true
    }

    async fn run_status(&self, run_id: &str) -> RunStatus {
        let runs = self.runs.lock().expect("no panic");
        runs.get(run_id).cloned().unwrap_or(RunStatus::Running)
    }
}
