//! Texts to values.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;
use guard_app::ports::random_tail;
use guard_domain::{ContactName, EventType, EventTypes, FieldPath};
use guard_policy::FieldCatalogue;
use guard_store::PostgresAddress;
use secrecy::SecretString;
use url::Url;

use super::channels::Channels;
use super::resolve::Resolved;
use super::settings::{DatabaseUrl, Settings};
use crate::system::SystemRandom;

/// The longest time that a setting may be.
const LONGEST: Duration = Duration::from_secs(3653 * 24 * 3600);
/// Reads the values of keys, and notes all that is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) resolved: &'a Resolved,
    pub(super) wrong: Vec<String>,
}

impl Reader<'_> {
    pub(super) fn refuse(&mut self, name: &str, detail: impl std::fmt::Display) {
        let origin = self
            .resolved
            .origin(name)
            .map(|origin| format!(" (from {origin})"));
        self.wrong
            .push(format!("`{name}`{}: {detail}", origin.unwrap_or_default()));
    }

    /// A value that may be missing, read by `parse`.
    pub(super) fn optional<T, E: std::fmt::Display>(
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

    pub(super) fn duration(&mut self, name: &str) -> Option<Duration> {
        self.optional(name, parse_duration)
    }

    pub(super) fn delta(&mut self, name: &str) -> Option<TimeDelta> {
        TimeDelta::from_std(self.duration(name)?).ok()
    }

    fn address(&mut self, name: &str) -> Option<SocketAddr> {
        self.optional(name, |text| {
            text.parse()
                .map_err(|_| format!("`{text}` is not an address such as 127.0.0.1:3000"))
        })
    }

    pub(super) fn url(&mut self, name: &str) -> Option<Url> {
        self.optional(name, |text| match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
            _ => Err("this is not an address such as http://127.0.0.1:5678"),
        })
    }

    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        let text = self.resolved.get(name).filter(|text| !text.is_empty())?;
        Some(text.to_owned().into())
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let text = self.resolved.get(name).unwrap_or_default();
        let items = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        items.map(str::to_owned).collect()
    }

    fn database(&mut self, data_dir: &Path) -> Option<DatabaseUrl> {
        let data_dir = data_dir.to_owned();
        let direct = self.resolved.get("database.migrate_url").map(str::to_owned);
        let url = self.optional("database.url", |text| {
            if text.starts_with("postgres://") || text.starts_with("postgresql://") {
                // What is wrong with the second address is said under its own name.
                return PostgresAddress::parse(text, None).map(DatabaseUrl::Postgres);
            }
            let file = text
                .strip_prefix("sqlite://")
                .or_else(|| text.strip_prefix("sqlite:"));
            match file.map(|file| file.split('?').next().unwrap_or_default()) {
                Some(file) if !file.is_empty() && file != ":memory:" => {
                    Ok(DatabaseUrl::Sqlite(data_dir.join(file)))
                }
                _ => Err(
                    "this is not a database such as sqlite://neural-guard.db or postgres://user@host/database"
                        .to_owned(),
                ),
            }
        })?;
        match (&url, direct) {
            (_, None) => Some(url),
            (DatabaseUrl::Sqlite(_), Some(_)) => {
                let why = "only of PostgreSQL can a pooler be in front: leave it out, or let `database.url` name one";
                self.refuse("database.migrate_url", why.to_owned());
                None
            }
            (DatabaseUrl::Postgres(_), Some(direct)) => {
                let text = self.resolved.get("database.url").unwrap_or_default();
                match PostgresAddress::parse(text, Some(&direct)) {
                    Ok(address) => Some(DatabaseUrl::Postgres(address)),
                    Err(why) => {
                        self.refuse("database.migrate_url", why);
                        None
                    }
                }
            }
        }
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

    fn fields(&mut self) -> FieldCatalogue {
        let mut fields: BTreeMap<EventType, Vec<FieldPath>> = BTreeMap::new();
        for text in self.list("rules.fields") {
            let (name, path) = text.split_once(':').unwrap_or((&text, ""));
            match (EventType::parse(name), FieldPath::parse(path)) {
                (Some(event_type), Ok(path)) => fields.entry(event_type).or_default().push(path),
                (None, _) => self.refuse(
                    "rules.fields",
                    format!("`{text}` does not begin with an event type; backup_failed:context.backup_file would"),
                ),
                (_, Err(error)) => self.refuse("rules.fields", format!("`{text}`: {error}")),
            }
        }
        let mut catalogue = FieldCatalogue::default();
        for (event_type, paths) in fields {
            catalogue.insert(event_type, paths);
        }
        catalogue
    }

    fn contacts(&mut self, default: &ContactName, with_tables: &Channels) -> Vec<ContactName> {
        let mut contacts = vec![ContactName::default_contact()];
        for text in self.list("escalation.contacts") {
            match ContactName::parse(&text) {
                Ok(contact) => contacts.push(contact),
                Err(error) => self.refuse("escalation.contacts", error),
            }
        }
        contacts.extend(with_tables.keys().cloned());
        contacts.sort();
        contacts.dedup();
        if !contacts.contains(default) {
            self.refuse(
                "escalation.default_contact",
                format!(
                    "`{default}` is not among `escalation.contacts`, and there is no `contacts.{default}`"
                ),
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
    pub(super) fn settings(&mut self) -> Option<Settings> {
        let data_dir = PathBuf::from(self.resolved.get("data_dir").unwrap_or_default());
        let listen = self.address("server.listen");
        let public_url = self.url("server.public_url");
        let dry_run = self.optional("server.dry_run", |text| {
            text.parse::<bool>()
                .map_err(|_| format!("`{text}` is neither true nor false"))
        });
        let connections = self.connections();
        let tls = self.tls();
        let stop_delay = self.duration("server.stop_delay");
        let metrics_listen = self.address("metrics.listen");
        let database = self.database(&data_dir);
        let database_timeout = self.duration("database.timeout");
        let rate_limits = self.rate_limits();
        let redis = self.redis();
        let redis_timeout = self.duration("redis.timeout");
        let ack_wait = self.duration("executor.ack_wait");
        let lease = self.duration("executor.lease");
        let deadline = self.delta("executor.deadline");
        let confirm_within = self.confirm_times();
        let n8n_base_url = self.url("n8n.base_url");
        let n8n_timeout = self.duration("n8n.timeout");
        let n8n_reconcile_interval = self.duration("n8n.reconcile_interval");
        let n8n_max_in_flight = self.number("n8n.max_in_flight");
        let n8n_probe_interval = self.duration("n8n.probe_interval");
        let event_types = self.event_types();
        let fields = self.fields();
        let max_age = self.delta("events.max_age");
        let retention = self.duration("retention");
        let audit_checkpoint_interval = self.duration("audit.checkpoint_interval");
        let default_contact = self.optional("escalation.default_contact", ContactName::parse);
        let channels = self.channels();
        let contacts = default_contact
            .as_ref()
            .map(|contact| self.contacts(contact, &channels));
        let escalation_deadline = self.delta("escalation.deadline");
        let repeat_after = self.delta("escalation.repeat_after");
        Some(Settings {
            listen: listen?,
            public_url,
            dry_run: dry_run?,
            connections: connections?,
            tls,
            stop_delay: stop_delay?,
            metrics_listen,
            data_dir,
            database: database?,
            database_timeout: database_timeout?,
            rules_path: self.resolved.get("rules.path").map(PathBuf::from),
            rate_limits: rate_limits?,
            redis,
            redis_timeout: redis_timeout?,
            ack_wait: ack_wait?,
            lease: lease?,
            deadline: deadline?,
            confirm_within: confirm_within?,
            n8n_base_url: n8n_base_url?,
            n8n_webhook_token: self.secret("n8n.webhook_token"),
            n8n_signing_secret: self.secret("n8n.signing_secret"),
            n8n_api_key: self.secret("n8n.api_key"),
            n8n_reconcile_interval: n8n_reconcile_interval?,
            n8n_timeout: n8n_timeout?,
            n8n_max_in_flight: n8n_max_in_flight?,
            n8n_probe_interval: n8n_probe_interval?,
            event_types,
            fields,
            max_age: max_age?,
            retention: retention?,
            audit_signing_key: self.resolved.get("audit.signing_key").map(PathBuf::from),
            audit_checkpoint_interval: audit_checkpoint_interval?,
            audit_checkpoint_file: self
                .resolved
                .get("audit.checkpoint_file")
                .map(PathBuf::from),
            instance_id: self.instance_id(),
            callback_secret: self.secret("callback.secret"),
            default_contact: default_contact?,
            contacts: contacts?,
            channels,
            escalation_deadline: escalation_deadline?,
            repeat_after: repeat_after?,
            api_key: self.secret("auth.api_key"),
            admin_key: self.secret("auth.admin_key"),
            jwt: self.jwt(),
            log_filter: self.resolved.get("log.filter").unwrap_or("info").to_owned(),
        })
    }
}

pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let parsed = humantime::parse_duration(text).ok();
    parsed.filter(|length| *length <= LONGEST).ok_or_else(|| {
        format!("`{text}` is not a length of time such as 500ms, 15m, 1h, or 0, up to 10 years")
    })
}
