//! The configuration, read and checked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use chrono::TimeDelta;
use guard_app::ports::random_tail;
use guard_domain::{ContactName, EventType, EventTypes};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::resolve::{Resolved, load};
use crate::system::SystemRandom;

/// The shortest time that events are kept.
const MIN_RETENTION: Duration = Duration::from_secs(2 * 24 * 3600);
/// What a lease must have beyond the time of a call.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// The shortest key.
const MIN_KEY: usize = guard_identity::MIN_KEY_LENGTH;

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// This file.
    Sqlite(PathBuf),
}

/// The configuration.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "the fields are the keys, which `KEYS` describes"
)]
pub struct Settings {
    pub listen: SocketAddr,
    pub public_url: Option<Url>,
    pub dry_run: bool,
    pub max_connections: usize,
    pub header_timeout: Duration,
    pub stop_delay: Duration,
    pub metrics_listen: Option<SocketAddr>,
    pub data_dir: PathBuf,
    pub database: DatabaseUrl,
    pub database_timeout: Duration,
    pub rules_path: Option<PathBuf>,
    pub rate_limit_requests: u32,
    pub rate_limit_window: Duration,
    pub ack_wait: Duration,
    pub lease: Duration,
    pub deadline: TimeDelta,
    pub confirm_within: TimeDelta,
    pub n8n_base_url: Url,
    pub n8n_webhook_token: Option<SecretString>,
    pub n8n_signing_secret: Option<SecretString>,
    pub n8n_timeout: Duration,
    pub n8n_max_in_flight: usize,
    pub n8n_probe_interval: Duration,
    pub event_types: EventTypes,
    pub max_age: TimeDelta,
    pub retention: Duration,
    pub instance_id: String,
    pub callback_secret: Option<SecretString>,
    pub default_contact: ContactName,
    pub contacts: Vec<ContactName>,
    pub api_key: Option<SecretString>,
    pub admin_key: Option<SecretString>,
    pub log_filter: String,
}

impl Settings {
    /// Reads `.env`, the configuration file and the environment.
    ///
    /// # Errors
    /// Everything that is wrong with them, all at once.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        Self::of(&Self::resolve(file)?)
    }

    /// Reads `.env`, the configuration file and the environment, without checking the values.
    ///
    /// # Errors
    /// A file that cannot be read, and every unknown key.
    pub fn resolve(file: Option<&Path>) -> anyhow::Result<Resolved> {
        match dotenvy::dotenv() {
            Err(error) if !error.not_found() => bail!("the file `.env` cannot be read: {error}"),
            _ => {}
        }
        load(
            file,
            std::env::vars_os().filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            }),
        )
    }

    /// Checks the values.
    ///
    /// # Errors
    /// Every value that is wrong.
    pub fn of(resolved: &Resolved) -> anyhow::Result<Self> {
        let mut reader = Reader {
            resolved,
            wrong: Vec::new(),
        };
        let settings = reader.settings();
        if let Some(settings) = &settings {
            reader.check(settings);
        }
        match (settings, reader.wrong.as_slice()) {
            (Some(settings), []) => Ok(settings),
            _ => bail!("the configuration is wrong:\n{}", reader.wrong.join("\n")),
        }
    }

    /// The address at which workflows reach this server, which listens on `address`.
    #[must_use]
    pub fn callback_base(&self, address: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{}", reachable(address)),
        }
    }
}

/// The address by which this machine reaches a listener of its own.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    reachable
}

struct Reader<'a> {
    resolved: &'a Resolved,
    wrong: Vec<String>,
}

impl Reader<'_> {
    fn refuse(&mut self, name: &str, detail: impl std::fmt::Display) {
        let origin = self
            .resolved
            .origin(name)
            .map(|origin| format!(" (from {origin})"));
        self.wrong
            .push(format!("`{name}`{}: {detail}", origin.unwrap_or_default()));
    }

    /// A value that may be missing, read by `parse`.
    fn optional<T, E: std::fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.resolved.get(name)?;
        parse(text).map_err(|error| self.refuse(name, error)).ok()
    }

    fn number<T: std::str::FromStr + PartialOrd + Default>(&mut self, name: &str) -> Option<T> {
        self.optional(name, |text| {
            let number = text.parse().ok().filter(|number| *number > T::default());
            number.ok_or_else(|| format!("`{text}` is not a whole number above 0"))
        })
    }

    fn duration(&mut self, name: &str) -> Option<Duration> {
        self.optional(name, |text| {
            if text == "0" {
                return Ok(Duration::ZERO);
            }
            humantime::parse_duration(text).map_err(|_| {
                format!("`{text}` is not a length of time such as 500ms, 15m, 1h, or 0")
            })
        })
    }

    fn delta(&mut self, name: &str) -> Option<TimeDelta> {
        let duration = self.duration(name)?;
        let delta = TimeDelta::from_std(duration)
            .ok()
            .filter(|delta| delta.num_days() < 36_500);
        if delta.is_none() {
            self.refuse(name, "this is too long");
        }
        delta
    }

    fn address(&mut self, name: &str) -> Option<SocketAddr> {
        self.optional(name, |text| {
            text.parse()
                .map_err(|_| format!("`{text}` is not an address such as 127.0.0.1:3000"))
        })
    }

    fn url(&mut self, name: &str) -> Option<Url> {
        self.optional(name, |text| match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
            _ => Err(format!(
                "`{text}` is not an address such as http://127.0.0.1:5678"
            )),
        })
    }

    fn secret(&self, name: &str) -> Option<SecretString> {
        let text = self.resolved.get(name).filter(|text| !text.is_empty())?;
        Some(text.to_owned().into())
    }

    fn list(&self, name: &str) -> Vec<String> {
        let text = self.resolved.get(name).unwrap_or_default();
        let items = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        items.map(str::to_owned).collect()
    }

    fn database(&mut self, data_dir: &Path) -> Option<DatabaseUrl> {
        let data_dir = data_dir.to_owned();
        self.optional("database.url", |text| {
            if text.starts_with("postgres://") || text.starts_with("postgresql://") {
                return Err(
                    "PostgreSQL is not supported by this release; use sqlite://FILE".to_owned(),
                );
            }
            let file = text
                .strip_prefix("sqlite://")
                .or_else(|| text.strip_prefix("sqlite:"));
            match file.map(|file| file.split('?').next().unwrap_or_default()) {
                Some(file) if !file.is_empty() && file != ":memory:" => {
                    Ok(DatabaseUrl::Sqlite(data_dir.join(file)))
                }
                _ => Err("this is not a database such as sqlite://neural-guard.db".to_owned()),
            }
        })
    }

    fn event_types(&mut self) -> EventTypes {
        let mut types = Vec::new();
        for text in self.list("events.extra_types") {
            match EventType::parse(&text) {
                Some(event_type) => types.push(event_type),
                None => self.refuse(
                    "events.extra_types",
                    format!(
                        "`{text}` is not an event type: a-z, 0-9 and `_`, beginning with a letter"
                    ),
                ),
            }
        }
        EventTypes::with_extra(types)
    }

    fn contacts(&mut self, default: &ContactName) -> Vec<ContactName> {
        let mut contacts = vec![ContactName::default_contact()];
        for text in self.list("escalation.contacts") {
            match ContactName::parse(&text) {
                Ok(contact) => contacts.push(contact),
                Err(error) => self.refuse("escalation.contacts", error),
            }
        }
        if !contacts.contains(default) {
            self.refuse(
                "escalation.default_contact",
                format!("`{default}` is not among `escalation.contacts`"),
            );
        }
        contacts
    }

    fn instance_id(&self) -> String {
        let made_up = || {
            let tail = random_tail(&SystemRandom);
            let id: String = tail
                .iter()
                .take(4)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!("guard-{id}")
        };
        self.resolved
            .get("instance.id")
            .map_or_else(made_up, str::to_owned)
    }

    /// Reads every value, so that all that is wrong is found.
    fn settings(&mut self) -> Option<Settings> {
        let data_dir = PathBuf::from(self.resolved.get("data_dir").unwrap_or_default());
        let listen = self.address("server.listen");
        let public_url = self.url("server.public_url");
        let dry_run = self.optional("server.dry_run", |text| {
            text.parse::<bool>()
                .map_err(|_| format!("`{text}` is neither true nor false"))
        });
        let max_connections = self.number("server.max_connections");
        let header_timeout = self.duration("server.header_timeout");
        let stop_delay = self.duration("server.stop_delay");
        let metrics_listen = self.address("metrics.listen");
        let database = self.database(&data_dir);
        let database_timeout = self.duration("database.timeout");
        let rate_limit_requests = self.number("rate_limit.requests");
        let rate_limit_window = self.duration("rate_limit.window");
        let ack_wait = self.duration("executor.ack_wait");
        let lease = self.duration("executor.lease");
        let deadline = self.delta("executor.deadline");
        let confirm_within = self.delta("executor.confirm_within");
        let n8n_base_url = self.url("n8n.base_url");
        let n8n_timeout = self.duration("n8n.timeout");
        let n8n_max_in_flight = self.number("n8n.max_in_flight");
        let n8n_probe_interval = self.duration("n8n.probe_interval");
        let event_types = self.event_types();
        let max_age = self.delta("events.max_age");
        let retention = self.duration("retention");
        let default_contact = self.optional("escalation.default_contact", ContactName::parse);
        let contacts = default_contact
            .as_ref()
            .map(|contact| self.contacts(contact));
        Some(Settings {
            listen: listen?,
            public_url,
            dry_run: dry_run?,
            max_connections: max_connections?,
            header_timeout: header_timeout?,
            stop_delay: stop_delay?,
            metrics_listen,
            data_dir,
            database: database?,
            database_timeout: database_timeout?,
            rules_path: self.resolved.get("rules.path").map(PathBuf::from),
            rate_limit_requests: rate_limit_requests?,
            rate_limit_window: rate_limit_window?,
            ack_wait: ack_wait?,
            lease: lease?,
            deadline: deadline?,
            confirm_within: confirm_within?,
            n8n_base_url: n8n_base_url?,
            n8n_webhook_token: self.secret("n8n.webhook_token"),
            n8n_signing_secret: self.secret("n8n.signing_secret"),
            n8n_timeout: n8n_timeout?,
            n8n_max_in_flight: n8n_max_in_flight?,
            n8n_probe_interval: n8n_probe_interval?,
            event_types,
            max_age: max_age?,
            retention: retention?,
            instance_id: self.instance_id(),
            callback_secret: self.secret("callback.secret"),
            default_contact: default_contact?,
            contacts: contacts?,
            api_key: self.secret("auth.api_key"),
            admin_key: self.secret("auth.admin_key"),
            log_filter: self.resolved.get("log.filter").unwrap_or("info").to_owned(),
        })
    }

    /// What must hold between values.
    fn check(&mut self, settings: &Settings) {
        if settings.lease <= settings.n8n_timeout + LEASE_MARGIN {
            self.refuse(
                "executor.lease",
                format!(
                    "{:?} is not more than `n8n.timeout` + 10s = {:?}: an execution could be delivered twice at once",
                    settings.lease,
                    settings.n8n_timeout + LEASE_MARGIN
                ),
            );
        }
        if settings.retention < MIN_RETENTION {
            self.refuse("retention", "events are kept for 2 days or more");
        }
        for (name, duration) in [
            ("database.timeout", settings.database_timeout),
            ("n8n.timeout", settings.n8n_timeout),
            ("server.header_timeout", settings.header_timeout),
            ("n8n.probe_interval", settings.n8n_probe_interval),
        ] {
            if duration.is_zero() {
                self.refuse(name, "this cannot be 0");
            }
        }
        for (name, delta) in [
            ("executor.deadline", settings.deadline),
            ("executor.confirm_within", settings.confirm_within),
        ] {
            if delta.is_zero() {
                self.refuse(name, "this cannot be 0");
            }
        }
        if settings.public_url.is_none() && !is_loopback(&settings.n8n_base_url) {
            let n8n = settings.n8n_base_url.as_str();
            self.refuse(
                "server.public_url",
                format!(
                    "n8n at {n8n} is on another machine, and must be told how to reach this server"
                ),
            );
        }
        for (name, key) in [
            ("auth.api_key", &settings.api_key),
            ("auth.admin_key", &settings.admin_key),
        ] {
            let length = key.as_ref().map(|key| key.expose_secret().chars().count());
            if length.is_some_and(|length| length < MIN_KEY) {
                self.refuse(name, format!("a key has {MIN_KEY} characters or more"));
            }
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let mut resolved = Resolved::defaults();
        for (name, value) in pairs {
            resolved.set(name, *value, Origin::Default);
        }
        Settings::of(&resolved).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let settings = settings(&[]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:3000");
        assert_eq!(
            settings.database,
            DatabaseUrl::Sqlite("data/neural-guard.db".into())
        );
        assert_eq!(settings.ack_wait, Duration::from_millis(500));
        assert_eq!(settings.deadline, TimeDelta::hours(1));
        assert_eq!(settings.confirm_within, TimeDelta::minutes(15));
        assert_eq!(settings.n8n_base_url.as_str(), "http://127.0.0.1:5678/");
        assert_eq!(settings.n8n_max_in_flight, 8);
        assert_eq!(settings.contacts, [ContactName::default_contact()]);
        assert_eq!(
            settings.callback_base("0.0.0.0:7".parse().unwrap()),
            "http://127.0.0.1:7"
        );
    }

    #[test]
    fn wrong_values_are_named_all_at_once() {
        let error = settings(&[
            ("server.listen", "here"),
            ("executor.ack_wait", "soon"),
            ("n8n.max_in_flight", "0"),
            ("database.url", "mysql://x"),
            ("events.extra_types", "Disk-Full"),
        ])
        .unwrap_err();
        for name in [
            "server.listen",
            "executor.ack_wait",
            "n8n.max_in_flight",
            "database.url",
            "events.extra_types",
        ] {
            assert!(error.contains(&format!("`{name}`")), "{name}: {error}");
        }
    }

    #[test]
    fn values_must_fit_each_other() {
        let refused = |pairs: &[(&str, &str)], word: &str| {
            let error = settings(pairs).unwrap_err();
            assert!(error.contains(word), "{error}");
        };
        refused(&[("executor.lease", "40s")], "delivered twice");
        refused(&[("retention", "47h")], "2 days");
        refused(
            &[("n8n.base_url", "https://n8n.example.com")],
            "server.public_url",
        );
        refused(&[("auth.api_key", "short")], "16 characters");
        refused(&[("escalation.default_contact", "oncall")], "not among");
        refused(
            &[("database.url", "postgres://localhost/guard")],
            "not supported by this release",
        );
        assert!(settings(&[("n8n.base_url", "http://[::1]:5678")]).is_ok());
        let far = [
            ("n8n.base_url", "https://n8n.example.com"),
            ("server.public_url", "https://guard.example.com/"),
        ];
        let base = settings(&far)
            .unwrap()
            .callback_base("127.0.0.1:1".parse().unwrap());
        assert_eq!(base, "https://guard.example.com");
    }
}
