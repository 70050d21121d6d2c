//! Adapters to ports.

mod adapters;
mod background;
mod door;
mod housekeeping;
mod own_thread;
mod signing;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use guard_app::ports::{Actor, Clock, CommitTerms, Playbooks, PublishMode, Random};
use guard_app::{
    Acknowledgements, Breakers, CallbackService, CallbackTokens, Checkpointer, Committer,
    CommitterSettings, Courier, CourierSettings, Dispatcher, DispatcherSettings, ExportService,
    HealthService, IntakeService, IntakeSettings, KeyService, OperatorService, QueryService,
    Refusals, RuleBook, RuleManager, TenantBook, TenantService,
};
use guard_http::Api;
use guard_identity::{BearerAuthenticator, Jwks, RandomKeys};
use guard_policy::Terms;
use guard_store::{DatabaseClock, Store};
use secrecy::SecretString;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::rule_source;
use crate::system::SystemRandom;
use adapters::{authenticator, first_key, metrics_handle, n8n_client, rate_gate};
pub use adapters::{clock, make_data_folder, open_store};
use door::door;
use own_thread::on_its_own_thread;
pub use signing::signing_key;

/// How long deliveries under way may take when the server stops.
const DRAIN: Duration = Duration::from_secs(25);
/// How often to look for work that this process was not woken for.
const POLL: Duration = Duration::from_millis(500);

/// What a server takes from the machine, and tests replace.
pub struct Surroundings {
    /// The time; the database's if not given.
    pub clock: Option<Arc<dyn Clock>>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// What runs playbooks; n8n as configured if not given.
    pub playbooks: Option<Arc<dyn Playbooks>>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: None,
            random: Arc::new(SystemRandom),
            playbooks: None,
        }
    }
}

/// When which part of a server stops.
#[derive(Debug, Clone, Default)]
pub struct Stops {
    /// The load balancer is given time to go elsewhere: connections are not kept.
    pub leaving: CancellationToken,
    /// Requests: no new connections, nobody is kept waiting for an acknowledgement.
    pub requests: CancellationToken,
    /// The committer, once no request can come.
    pub committer: CancellationToken,
    /// Everything else.
    pub background: CancellationToken,
}

/// A server whose parts are connected and not running yet.
pub struct Guard {
    /// What the HTTP interface works with.
    pub api: Arc<Api>,
    /// Publishes rules.
    pub rules: Arc<RuleManager>,
    /// Delivers executions.
    pub dispatcher: Arc<Dispatcher>,
    /// Sends escalations.
    pub courier: Arc<Courier>,
    /// Watches over the server.
    pub health: Arc<HealthService>,
    /// Knows every tenant.
    pub tenants: Arc<TenantBook>,
    /// Knows who is asking.
    pub authenticator: Arc<BearerAuthenticator>,
    jwks: Option<Arc<Jwks>>,
    /// Signs the audit trail.
    pub checkpointer: Arc<Checkpointer>,
    /// When which part stops.
    pub stops: Stops,
    /// The administrator's key, if one was just generated.
    pub generated_key: Option<SecretString>,
    /// The database.
    pub store: Arc<Store>,
    database_clock: Option<Arc<DatabaseClock>>,
    committer: JoinSet<()>,
}

/// Builds the adapters and connects them. Workflows reach the server, which listens on `address`, for their callbacks.
///
/// # Errors
/// A database that cannot be opened, keys or settings that cannot be used.
pub async fn build(
    settings: &Settings,
    address: SocketAddr,
    surroundings: Surroundings,
) -> anyhow::Result<Guard> {
    let Surroundings {
        clock,
        random,
        playbooks,
    } = surroundings;
    let (clock, database_clock) = match clock {
        Some(clock) => (clock, None),
        None => adapters::clock(settings).await?,
    };
    let store = Arc::new(open_store(settings, &clock, &random).await?);
    let playbooks = match playbooks {
        Some(playbooks) => playbooks,
        None => Arc::new(n8n_client(settings, &clock)?),
    };
    let stops = Stops::default();
    let wake = Arc::new(Notify::new());
    let acknowledgements = Arc::new(Acknowledgements::default());
    let breakers = Arc::new(Breakers::default());
    let book = Arc::new(RuleBook::new(store.clone()));
    let tokens = Arc::new(CallbackTokens::new(
        settings.callback_secret.clone(),
        store.clone(),
        random.clone(),
    ));
    let terms = Terms {
        max_age: settings.max_age,
        dry_run: settings.dry_run,
        default_contact: settings.default_contact.clone(),
    };
    let rules = Arc::new(RuleManager {
        book: book.clone(),
        store: store.clone(),
        catalogue: settings.catalogue(),
        terms: terms.clone(),
        clock: clock.clone(),
        previews: Arc::new(Semaphore::new(RuleManager::PREVIEWS_AT_ONCE)),
    });
    let dispatcher = Arc::new(Dispatcher {
        outbox: store.clone(),
        playbooks: playbooks.clone(),
        tokens: tokens.clone(),
        breakers: breakers.clone(),
        acknowledgements: acknowledgements.clone(),
        clock: clock.clone(),
        random: random.clone(),
        wake: wake.clone(),
        settings: DispatcherSettings {
            instance: settings.instance_id.clone(),
            max_in_flight: settings.n8n_max_in_flight,
            lease: settings.lease,
            confirm_within: settings.confirm_within.clone(),
            poll: POLL,
            drain: DRAIN,
            public_url: settings.callback_base(address),
            default_contact: settings.default_contact.clone(),
        },
    });
    let courier = Arc::new(Courier {
        notifications: store.clone(),
        channels: adapters::channels(settings, &clock)?,
        clock: clock.clone(),
        random: random.clone(),
        settings: CourierSettings {
            instance: settings.instance_id.clone(),
            repeat_after: settings.repeat_after,
            poll: POLL,
            drain: DRAIN,
        },
    });
    let health = Arc::new(HealthService::new(
        store.clone(),
        book.clone(),
        breakers,
        playbooks,
        clock.clone(),
        settings.database_timeout,
    ));
    let (committer, committing) = Committer::new(
        store.clone(),
        book.clone(),
        CommitTerms {
            terms,
            execution_deadline: settings.deadline,
        },
        &CommitterSettings {
            timeout: settings.database_timeout,
            lanes: store.lanes(),
            ..CommitterSettings::default()
        },
        wake.clone(),
        stops.committer.clone(),
    );
    let maker = Arc::new(RandomKeys(random.clone()));
    let generated_key = first_key(settings, store.as_ref(), clock.as_ref(), maker.as_ref()).await?;
    let tenants = Arc::new(TenantBook::new(store.clone()));
    tenants.refresh().await?;
    let (authenticator, jwks) = authenticator(settings, &store, &tenants, &clock, random.as_ref())?;
    let api = Arc::new(Api {
        intake: IntakeService {
            committer,
            rules: book,
            acknowledgements: acknowledgements.clone(),
            clock: clock.clone(),
            random: random.clone(),
            rates: rate_gate(settings, &tenants, &clock).await,
            settings: IntakeSettings {
                event_types: settings.event_types.clone(),
                ack_wait: settings.ack_wait,
            },
            stop: stops.requests.clone(),
        },
        rules: rules.clone(),
        operator: OperatorService {
            outbox: store.clone(),
            rules: rules.book.clone(),
            archive: store.clone(),
            rule_store: store.clone(),
            controls: store.clone(),
            acknowledgements: acknowledgements.clone(),
            wake,
            clock: clock.clone(),
            random: random.clone(),
            event_types: settings.event_types.clone(),
            execution_deadline: settings.deadline,
        },
        callbacks: CallbackService {
            outbox: store.clone(),
            tokens,
            acknowledgements,
            clock: clock.clone(),
            confirm_within: settings.confirm_within.clone(),
            archive: store.clone(),
            audit: store.clone(),
            refusals: Refusals::default(),
        },
        queries: QueryService {
            archive: store.clone(),
            clock: clock.clone(),
        },
        health: health.clone(),
        keys: KeyService {
            keys: store.clone(),
            maker,
            clock: clock.clone(),
        },
        tenants: TenantService {
            tenants: store.clone(),
            book: tenants.clone(),
            clock: clock.clone(),
        },
        exports: ExportService::new(store.clone(), store.clone()),
        authenticator: door(authenticator.clone()),
        metrics: metrics_handle()?,
        body_timeout: settings.connections.body_timeout,
        clock,
        random,
        instance: settings.instance_id.clone(),
    });
    let checkpointer = signing::checkpointer(settings, &store, &health.clock)?;
    let mut running = JoinSet::new();
    if store.is_in_process() {
        running.spawn(on_its_own_thread("committer", committing)?);
    } else {
        running.spawn(committing);
    }
    Ok(Guard {
        api,
        rules,
        dispatcher,
        courier,
        health,
        tenants,
        authenticator,
        jwks,
        checkpointer,
        stops,
        generated_key,
        store,
        database_clock,
        committer: running,
    })
}

impl Guard {
    /// Publishes the rules of the files, and reads what is live.
    ///
    /// # Errors
    /// Everything that is wrong with the files; what is live stays.
    pub async fn load_rules(
        &self,
        settings: &Settings,
        mode: PublishMode,
        actor: &Actor,
    ) -> anyhow::Result<()> {
        for source in rule_source::read(settings.rules_path.as_deref(), &self.rules.catalogue)? {
            let published = self
                .rules
                .publish(&source.tenant, &source.file, &source.origin, mode, actor)
                .await?;
            if published.created {
                tracing::info!(
                    tenant = %source.tenant,
                    revision = published.revision,
                    origin = source.origin,
                    "rules were published"
                );
            }
        }
        self.rules.book.refresh_all().await?;
        // Tenants come into being with their rules.
        self.tenants.refresh().await?;
        Ok(())
    }

    /// Commits what waits. To be called once no request can come any more.
    pub async fn drain(&mut self) {
        self.stops.committer.cancel();
        self.committer_ended().await;
    }

    /// Waits until the committer has ended, which it does not do by itself.
    pub async fn committer_ended(&mut self) {
        while self.committer.join_next().await.is_some() {}
    }

    /// Commits what waits, and closes the database. To be called once nothing needs it any more.
    pub async fn close(mut self) {
        self.drain().await;
        self.store.close().await;
    }
}
