//! The live rules of every tenant, in memory.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use guard_domain::TenantId;
use guard_policy::{RuleFile, RuleSet, VersionedRule};
use tokio::sync::watch;

use crate::metric;
use crate::ports::{LiveRules, RuleStore, StorageError};

/// Holds the live rules: reading takes no lock and waits for nothing.
pub struct RuleBook {
    store: Arc<dyn RuleStore>,
    live: ArcSwap<HashMap<TenantId, Arc<RuleSet>>>,
    empty: Arc<RuleSet>,
    changes: watch::Sender<()>,
}

impl RuleBook {
    /// A book that holds nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn RuleStore>) -> Self {
        Self {
            store,
            live: ArcSwap::default(),
            empty: Arc::default(),
            changes: watch::Sender::new(()),
        }
    }

    /// The live rules of a tenant; none at revision 0 for a tenant that never had any.
    #[must_use]
    pub fn current(&self, tenant: &TenantId) -> Arc<RuleSet> {
        self.live.load().get(tenant).unwrap_or(&self.empty).clone()
    }

    /// The live rules of every tenant.
    #[must_use]
    pub fn all(&self) -> Arc<HashMap<TenantId, Arc<RuleSet>>> {
        self.live.load_full()
    }

    /// Tells when other rules are live.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Reads the live rules of a tenant from the database if they are not those held already.
    ///
    /// # Errors
    /// [`StorageError`] if they cannot be read or compiled; those held before stay.
    pub async fn refresh(&self, tenant: &TenantId) -> Result<Arc<RuleSet>, StorageError> {
        let Some(live) = self.store.live(tenant).await? else {
            return Ok(self.current(tenant));
        };
        let held = self.current(tenant);
        if held.revision() == live.revision {
            return Ok(held);
        }
        let rules = Arc::new(compile(tenant, &live)?);
        self.live.rcu(|book| {
            let mut book = HashMap::clone(book);
            // Of two that read at once, the later revision stays.
            if book
                .get(tenant)
                .is_none_or(|held| held.revision() < rules.revision())
            {
                book.insert(tenant.clone(), rules.clone());
            }
            book
        });
        let active = self
            .live
            .load()
            .values()
            .map(|rules| rules.active_count())
            .sum();
        metric::level(metric::ACTIVE_RULES, active);
        self.changes.send_replace(());
        tracing::info!(%tenant, revision = live.revision, rules = rules.rules().count(), "rules are live");
        Ok(rules)
    }

    /// Reads the live rules of every tenant of which others are held.
    ///
    /// # Errors
    /// As [`RuleBook::refresh`].
    pub async fn refresh_all(&self) -> Result<(), StorageError> {
        for (tenant, revision) in self.store.live_revisions().await? {
            if self.current(&tenant).revision() != revision {
                self.refresh(&tenant).await?;
            }
        }
        Ok(())
    }
}

/// What is stored was checked when it was published: an error here is damage.
fn compile(tenant: &TenantId, live: &LiveRules) -> Result<RuleSet, StorageError> {
    let damaged = |detail: String| StorageError::Inconsistent {
        table: "rules",
        column: "definition",
        key: format!("{tenant} revision {}", live.revision),
        detail,
    };
    let definitions = live.rules.iter().map(|(rule, _)| rule.definition.as_str());
    let rules =
        RuleFile::parse_definitions(definitions).map_err(|error| damaged(error.to_string()))?;
    let versions = live.rules.iter().map(|(_, version)| *version);
    let rules = rules
        .into_iter()
        .zip(versions)
        .map(|(rule, version)| VersionedRule { rule, version });
    RuleSet::compile(live.revision, rules.collect()).map_err(|error| damaged(error.to_string()))
}
