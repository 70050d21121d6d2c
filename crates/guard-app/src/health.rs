//! How the server and what it depends on are doing.

mod probe;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use guard_domain::TenantId;
use tokio::sync::watch;

use crate::breaker::{BreakerState, Breakers};
use crate::ports::{Clock, Controls, Pause, Playbooks, Reachability};
use crate::rule_book::RuleBook;
pub use probe::PlaybookHealth;
use probe::Probed;

/// How the server is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// Whether events can be taken in: the database answers, rules are live, and the server is not stopping.
    pub ready: bool,
    /// What is wrong with the database, if anything.
    pub database: Result<(), String>,
    /// The live revision of tenant `default`.
    pub revision: u64,
    /// How many of its rules decide.
    pub active_rules: usize,
    /// Whether n8n answered the last probe; `None` before the first.
    pub n8n: Option<Reachability>,
    /// The playbooks that rules name, as the last probe found them.
    pub playbooks: Vec<PlaybookHealth>,
    /// The circuit breakers that are not closed.
    pub breakers: Vec<(String, BreakerState)>,
    /// What is paused for tenant `default`.
    pub pauses: Vec<Pause>,
    /// Whether the server is stopping.
    pub stopping: bool,
}

/// Watches over the server.
pub struct HealthService {
    /// The database.
    pub controls: Arc<dyn Controls>,
    /// The live rules.
    pub rules: Arc<RuleBook>,
    /// The circuit breakers.
    pub breakers: Arc<Breakers>,
    /// What runs playbooks.
    pub playbooks: Arc<dyn Playbooks>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long the database may take to answer.
    pub timeout: Duration,
    probed: watch::Sender<Probed>,
    stopping: AtomicBool,
}

impl HealthService {
    /// Watches over a server that has just started.
    pub fn new(
        controls: Arc<dyn Controls>,
        rules: Arc<RuleBook>,
        breakers: Arc<Breakers>,
        playbooks: Arc<dyn Playbooks>,
        clock: Arc<dyn Clock>,
        timeout: Duration,
    ) -> Self {
        let probed = watch::Sender::new(Probed::default());
        Self {
            controls,
            rules,
            breakers,
            playbooks,
            clock,
            timeout,
            probed,
            stopping: AtomicBool::new(false),
        }
    }

    /// From now on the server is not ready.
    pub fn begin_stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// How the server is doing now.
    pub async fn report(&self) -> HealthReport {
        let tenant = TenantId::default_tenant();
        let database = match tokio::time::timeout(self.timeout, self.controls.ping()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the database gives no answer".to_owned()),
        };
        let pauses = match &database {
            Ok(()) => self.controls.pauses(&tenant).await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let rules = self.rules.current(&tenant);
        let stopping = self.stopping.load(Ordering::Relaxed);
        HealthReport {
            ready: database.is_ok() && rules.revision() > 0 && !stopping,
            database,
            revision: rules.revision(),
            active_rules: rules.active_count(),
            n8n: self.probed.borrow().n8n.clone(),
            playbooks: self.playbook_health(),
            breakers: self.breakers.report(self.clock.now()),
            pauses,
            stopping,
        }
    }
}
