//! The configuration, read and checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use chrono::TimeDelta;
use guard_app::ports::ConfirmTimes;
use guard_app::{Catalogue, RateLimits};
use guard_domain::{Channel, ContactName, EventTypes};
use guard_notify::ChannelSettings;
use guard_policy::FieldCatalogue;
use guard_redis::RedisAddress;
use guard_store::PostgresAddress;
use secrecy::SecretString;
use url::Url;

use super::connections::ConnectionSettings;
use super::jwt::JwtSettings;
use super::reader::Reader;
use super::resolve::{Resolved, load};
use super::tls::TlsFiles;

/// Where the database is.
#[derive(Debug, Clone)]
pub enum DatabaseUrl {
    /// This file.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(PostgresAddress),
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
    pub connections: ConnectionSettings,
    pub tls: Option<TlsFiles>,
    pub stop_delay: Duration,
    pub metrics_listen: Option<SocketAddr>,
    pub data_dir: PathBuf,
    pub database: DatabaseUrl,
    pub database_timeout: Duration,
    pub rules_path: Option<PathBuf>,
    pub rate_limits: RateLimits,
    pub redis: Option<RedisAddress>,
    pub redis_timeout: Duration,
    pub ack_wait: Duration,
    pub lease: Duration,
    pub deadline: TimeDelta,
    pub confirm_within: ConfirmTimes,
    pub n8n_base_url: Url,
    pub n8n_webhook_token: Option<SecretString>,
    pub n8n_signing_secret: Option<SecretString>,
    pub n8n_api_key: Option<SecretString>,
    pub n8n_reconcile_interval: Duration,
    pub n8n_timeout: Duration,
    pub n8n_max_in_flight: usize,
    pub n8n_probe_interval: Duration,
    pub event_types: EventTypes,
    pub fields: FieldCatalogue,
    pub max_age: TimeDelta,
    pub retention: Duration,
    pub audit_signing_key: Option<PathBuf>,
    pub audit_checkpoint_interval: Duration,
    pub audit_checkpoint_file: Option<PathBuf>,
    pub instance_id: String,
    pub callback_secret: Option<SecretString>,
    pub default_contact: ContactName,
    pub contacts: Vec<ContactName>,
    pub channels: BTreeMap<ContactName, Vec<(Channel, ChannelSettings)>>,
    pub escalation_deadline: TimeDelta,
    pub repeat_after: TimeDelta,
    pub api_key: Option<SecretString>,
    pub admin_key: Option<SecretString>,
    pub jwt: Option<JwtSettings>,
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
            // The error's own text shows the line, which may hold a secret.
            Err(dotenvy::Error::LineParse(_, column)) => {
                bail!("the file `.env` cannot be read: a line is wrong at character {column}")
            }
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

    /// What rules may name here.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue {
        Catalogue {
            event_types: self.event_types.clone(),
            contacts: self.contacts.clone(),
            fields: self.fields.clone(),
        }
    }

    /// The key that signs the audit trail.
    #[must_use]
    pub fn signing_key_file(&self) -> PathBuf {
        let here = || self.data_dir.join("audit-signing-key.pem");
        self.audit_signing_key.clone().unwrap_or_else(here)
    }

    /// Where signatures of the audit trail are kept besides the database.
    #[must_use]
    pub fn checkpoint_file(&self) -> PathBuf {
        let here = || self.data_dir.join("audit-checkpoints.ndjson");
        self.audit_checkpoint_file.clone().unwrap_or_else(here)
    }

    /// The scheme of this server's own addresses.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The address at which workflows reach this server, which listens on `address`.
    #[must_use]
    pub fn callback_base(&self, address: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("{}://{}", self.scheme(), reachable(address)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;
    use guard_domain::PlaybookName;

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
        assert!(
            matches!(&settings.database, DatabaseUrl::Sqlite(path) if path == Path::new("data/neural-guard.db"))
        );
        assert_eq!(settings.ack_wait, Duration::from_millis(500));
        assert_eq!(settings.deadline, TimeDelta::hours(1));
        assert_eq!(settings.confirm_within.default, TimeDelta::minutes(15));
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
            ("playbooks.confirm_within", "backup-recovery:soon"),
        ])
        .unwrap_err();
        for name in [
            "server.listen",
            "executor.ack_wait",
            "n8n.max_in_flight",
            "database.url",
            "events.extra_types",
            "playbooks.confirm_within",
        ] {
            assert!(error.contains(&format!("`{name}`")), "{name}: {error}");
        }
    }

    #[test]
    fn a_playbook_may_have_its_own_time_to_report() {
        let text = "backup-recovery:2h, intrusion-lockdown:90s";
        let times = settings(&[("playbooks.confirm_within", text)]).unwrap();
        let of = |name| times.confirm_within.of(&PlaybookName::parse(name).unwrap());
        assert_eq!(of("backup-recovery"), TimeDelta::hours(2));
        assert_eq!(of("intrusion-lockdown"), TimeDelta::seconds(90));
        assert_eq!(of("auto-remediation"), TimeDelta::minutes(15));
        for wrong in ["backup-recovery", "Backup:2h", "backup-recovery:0", ":2h"] {
            let error = settings(&[("playbooks.confirm_within", wrong)]).unwrap_err();
            assert!(error.contains("`playbooks.confirm_within`"), "{error}");
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
            &[("database.url", "postgres://localhost:port/guard")],
            "invalid port",
        );
        refused(
            &[
                ("database.url", "sqlite://guard.db"),
                ("database.migrate_url", "postgres://localhost/guard"),
            ],
            "only of PostgreSQL",
        );
        assert!(settings(&[("database.url", "postgres://localhost/guard")]).is_ok());
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
