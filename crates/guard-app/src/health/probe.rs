//! Probing the runner of playbooks, without side effects.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use guard_domain::{PlaybookName, RuleMode};
use metrics::gauge;
use tokio_util::sync::CancellationToken;

use super::HealthService;
use crate::metric;
use crate::ports::{Presence, Reachability};

/// How many playbooks are asked about in one round; what is beyond is not known.
const MAX_PLAYBOOKS: usize = 500;

/// What is known of a playbook that a rule names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaybookHealth {
    /// Its name.
    pub name: PlaybookName,
    /// Whether the runner knows it, by the last probe.
    pub presence: Presence,
    /// Whether the runner accepted our token, by the last delivery or rehearsal of this process; `None` before the first.
    pub token_accepted: Option<bool>,
}

/// What the last probe found.
#[derive(Debug, Clone, Default)]
pub(super) struct Probed {
    /// The runner; `None` before the first probe.
    pub(super) n8n: Option<Reachability>,
    /// The playbooks.
    pub(super) playbooks: BTreeMap<PlaybookName, Presence>,
}

impl HealthService {
    /// Probes n8n and the playbooks that rules name: at once, now and then, and when other rules are live; until `stop` is
    /// cancelled. It never makes the server unready.
    pub async fn probe(&self, every: Duration, stop: CancellationToken) {
        let mut rules = self.rules.changes();
        while !stop.is_cancelled() {
            rules.mark_unchanged();
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.probe_once() => {}
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(every) => {}
                // The sender lives as long as the rules do.
                _ = rules.changed() => {}
            }
        }
    }

    /// Probes once, and says what has changed since the last time.
    pub async fn probe_once(&self) {
        let n8n = self.playbooks.probe().await;
        let before = self.probed.borrow().clone();
        say_n8n(before.n8n.as_ref(), &n8n);
        let mut playbooks = BTreeMap::new();
        for name in self.named_playbooks() {
            let presence = match &n8n {
                Reachability::Up if playbooks.len() < MAX_PLAYBOOKS => {
                    self.playbooks.probe_playbook(&name).await
                }
                Reachability::Up => Presence::Unknown(format!(
                    "more than {MAX_PLAYBOOKS} playbooks are named; this one was not asked about"
                )),
                Reachability::Down(why) => Presence::Unknown(format!("n8n does not answer: {why}")),
            };
            say_playbook(&name, before.playbooks.get(&name), &presence);
            playbooks.insert(name, presence);
        }
        for gone in before.playbooks.keys() {
            if !playbooks.contains_key(gone) {
                set_present(gone, f64::NAN);
            }
        }
        self.probed.send_replace(Probed {
            n8n: Some(n8n),
            playbooks,
        });
    }

    /// The playbooks that rules which decide name, of every tenant, those that undo among them.
    fn named_playbooks(&self) -> BTreeSet<PlaybookName> {
        let live = self.rules.all();
        let rules = live.values().flat_map(|rules| rules.rules());
        rules
            .filter(|(rule, _)| matches!(rule.mode, RuleMode::Active | RuleMode::DryRun))
            .flat_map(|(rule, _)| rule.playbooks())
            .cloned()
            .collect()
    }

    /// What is known of every playbook that a rule names.
    pub(super) fn playbook_health(&self) -> Vec<PlaybookHealth> {
        let probed = self.probed.borrow();
        let known = probed.playbooks.iter();
        known
            .map(|(name, presence)| PlaybookHealth {
                name: name.clone(),
                presence: presence.clone(),
                token_accepted: self.breakers.token_accepted(name),
            })
            .collect()
    }
}

fn say_n8n(before: Option<&Reachability>, found: &Reachability) {
    match found {
        Reachability::Down(why) if before != Some(found) => {
            tracing::warn!("n8n does not answer: {why}; executions wait in the outbox");
        }
        Reachability::Up if before.is_some_and(|before| *before != Reachability::Up) => {
            tracing::info!("n8n answers again");
        }
        _ => {}
    }
}

fn say_playbook(name: &PlaybookName, before: Option<&Presence>, found: &Presence) {
    let was_missing = matches!(before, Some(Presence::Missing(_)));
    match found {
        Presence::Present => {
            set_present(name, 1.0);
            if was_missing {
                tracing::info!(playbook = %name, "n8n has the playbook {name} now");
            }
        }
        Presence::Missing(why) => {
            set_present(name, 0.0);
            if !was_missing {
                tracing::error!(playbook = %name, "a rule names the playbook {name}, and {why}");
            }
        }
        Presence::Unknown(_) => set_present(name, f64::NAN),
    }
}

/// 1 for a playbook that is there, 0 for one that is not, NaN for one of which it is not known.
fn set_present(name: &PlaybookName, present: f64) {
    gauge!(metric::PLAYBOOK_PRESENT, "playbook" => name.as_str().to_owned()).set(present);
}
