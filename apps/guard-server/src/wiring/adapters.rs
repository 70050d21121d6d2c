//! The adapters, as the settings want them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use guard_app::ports::{Actor, ApiKeys, Clock, KeyMaker, Random, RateLimiter, Scope};
use guard_app::{Channels, KeyOrder, LocalRateLimiter, RateGate, TenantBook, metric};
use guard_domain::{ChannelAddress, TenantId};
use guard_identity::{BearerAuthenticator, Jwks, StaticKey};
use guard_n8n::{N8nClient, N8nSettings};
use guard_notify::notifier;
use guard_redis::RedisRateLimiter;
use guard_store::{DatabaseClock, NotificationSettings, Store, StoreSettings};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use secrecy::SecretString;

use crate::config::{DatabaseUrl, Settings};
use crate::system::SystemClock;

/// Makes the folder of the embedded database if it is not there; gives its file. A server has no file.
///
/// # Errors
/// A folder that cannot be made.
pub fn make_data_folder(settings: &Settings) -> anyhow::Result<Option<&Path>> {
    let DatabaseUrl::Sqlite(path) = &settings.database else {
        return Ok(None);
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("the folder `{}` cannot be made", folder.display()))?;
    }
    Ok(Some(path))
}

/// The time by which everything is decided: the database's.
///
/// # Errors
/// A server that cannot be reached.
pub async fn clock(
    settings: &Settings,
) -> anyhow::Result<(Arc<dyn Clock>, Option<Arc<DatabaseClock>>)> {
    Ok(match &settings.database {
        DatabaseUrl::Sqlite(_) => (Arc::new(SystemClock::start()), None),
        DatabaseUrl::Postgres(address) => {
            let started = DatabaseClock::start(address, settings.database_timeout).await;
            let clock = started.with_context(|| format!("`{address}` cannot be reached"))?;
            let clock = Arc::new(clock);
            (clock.clone(), Some(clock))
        }
    })
}

/// Opens the database that the settings name.
///
/// # Errors
/// A folder that cannot be made, a file that cannot be opened, a server that cannot be reached, a schema that is newer than
/// this program.
pub async fn open_store(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
) -> anyhow::Result<Store> {
    let store_settings = StoreSettings {
        timeout: settings.database_timeout,
        default_contact: settings.default_contact.clone(),
        notifications: notifications(settings),
    };
    let (clock, random) = (clock.clone(), random.clone());
    make_data_folder(settings)?;
    Ok(match &settings.database {
        DatabaseUrl::Sqlite(path) => {
            Store::open_sqlite(path, clock, random, store_settings).await?
        }
        DatabaseUrl::Postgres(address) => {
            Store::open_postgres(address, clock, random, store_settings).await?
        }
    })
}

/// The channels that escalations go over.
fn notifications(settings: &Settings) -> NotificationSettings {
    let channels = settings.channels.iter().map(|(contact, channels)| {
        let channels = channels.iter().map(|(channel, _)| channel.clone());
        (contact.clone(), channels.collect())
    });
    NotificationSettings {
        channels: channels.collect(),
        deadline: settings.escalation_deadline,
    }
}

/// The adapter of every channel.
pub(super) fn channels(settings: &Settings, clock: &Arc<dyn Clock>) -> anyhow::Result<Channels> {
    let mut all = Channels::new();
    for (contact, channels) in &settings.channels {
        for (channel, settings) in channels {
            let address = ChannelAddress {
                contact: contact.clone(),
                channel: channel.name.clone(),
            };
            let notifier = notifier(settings, clock)
                .with_context(|| format!("the channel {address} cannot be used"))?;
            all.insert(address, notifier);
        }
    }
    Ok(all)
}

pub(super) fn n8n_client(settings: &Settings, clock: &Arc<dyn Clock>) -> anyhow::Result<N8nClient> {
    let n8n = N8nSettings {
        base_url: settings.n8n_base_url.clone(),
        token: settings.n8n_webhook_token.clone(),
        signing_secret: settings.n8n_signing_secret.clone(),
        api_key: settings.n8n_api_key.clone(),
        timeout: settings.n8n_timeout,
    };
    Ok(N8nClient::new(n8n, clock.clone())?)
}

/// The limits of sources, counted in Redis if there is one.
pub(super) async fn rate_gate(
    settings: &Settings,
    tenants: &Arc<TenantBook>,
    clock: &Arc<dyn Clock>,
) -> RateGate {
    let local = Arc::new(LocalRateLimiter::new(clock.clone()));
    let limiter: Arc<dyn RateLimiter> = match &settings.redis {
        Some(address) => {
            RedisRateLimiter::start(address.clone(), settings.redis_timeout, local).await
        }
        None => local,
    };
    RateGate {
        limits: settings.rate_limits.clone(),
        tenants: tenants.clone(),
        limiter,
    }
}

/// Knows who is asking, by keys that may have to be followed.
pub(super) fn authenticator(
    settings: &Settings,
    store: &Arc<Store>,
    tenants: &Arc<TenantBook>,
    clock: &Arc<dyn Clock>,
    random: &dyn Random,
) -> anyhow::Result<(Arc<BearerAuthenticator>, Option<Arc<Jwks>>)> {
    let mut static_keys = Vec::new();
    if let Some(key) = &settings.api_key {
        static_keys.push(StaticKey::api(key)?);
    }
    if let Some(key) = &settings.admin_key {
        static_keys.push(StaticKey::admin(key)?);
    }
    let jwt = settings.jwt.as_ref();
    let (jwt, jwks) = match jwt.map(|jwt| jwt.verifier(clock)).transpose()? {
        Some((verifier, jwks)) => (Some(verifier), jwks),
        None => (None, None),
    };
    let authenticator = BearerAuthenticator::new(
        static_keys,
        store.clone(),
        jwt,
        tenants.clone(),
        clock.clone(),
        random,
    );
    Ok((Arc::new(authenticator), jwks))
}

/// An administrator's key, if nobody could come in otherwise.
pub(super) async fn first_key(
    settings: &Settings,
    keys: &dyn ApiKeys,
    clock: &dyn Clock,
    maker: &dyn KeyMaker,
) -> anyhow::Result<Option<SecretString>> {
    if settings.api_key.is_some() || settings.admin_key.is_some() {
        return Ok(None);
    }
    let order = KeyOrder {
        label: "first admin key".to_owned(),
        scopes: vec![Scope::Admin],
        expires_at: None,
    };
    let first = order.fill(TenantId::default_tenant(), maker.generate(), clock.now());
    let actor = Actor::system("start");
    let stored = keys.insert_first_key(&first.stored, &actor).await?;
    Ok(stored.then_some(first.key))
}

/// The recorder of the process; there is one, however many servers are built.
pub(super) fn metrics_handle() -> anyhow::Result<PrometheusHandle> {
    static HANDLE: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut handle = HANDLE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*handle {
        return Ok(handle.clone());
    }
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(
            Matcher::Full(metric::EVENT_DURATION.to_owned()),
            &metric::EVENT_DURATION_BUCKETS,
        )?
        .set_buckets_for_metric(
            Matcher::Full(metric::EXECUTION_DURATION.to_owned()),
            &metric::EXECUTION_DURATION_BUCKETS,
        )?
        .set_buckets_for_metric(
            Matcher::Full(metric::RESOLUTION_TIME.to_owned()),
            &metric::EXECUTION_DURATION_BUCKETS,
        )?
        .set_buckets_for_metric(
            Matcher::Full(metric::COMMIT_BATCH.to_owned()),
            &metric::COMMIT_BATCH_BUCKETS,
        )?;
    let installed = builder.install_recorder()?;
    metric::describe();
    Ok(handle.insert(installed).clone())
}
