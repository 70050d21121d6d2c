//! What must hold of values, and between them.

use std::time::Duration;

use secrecy::ExposeSecret;
use url::Url;

use super::reader::Reader;
use super::report::without_credentials;
use super::settings::Settings;

/// The shortest time that events are kept.
const MIN_RETENTION: Duration = Duration::from_secs(2 * 24 * 3600);
/// What a lease must have beyond the time of a call.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// The shortest key.
const MIN_KEY: usize = guard_identity::MIN_KEY_LENGTH;

impl Reader<'_> {
    /// What must hold between values.
    pub(super) fn check(&mut self, settings: &Settings) {
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
        let deadline = settings.escalation_deadline.to_std();
        if deadline.is_ok_and(|deadline| deadline > settings.retention) {
            self.refuse(
                "escalation.deadline",
                "`retention` would drop escalations that are still to be sent",
            );
        }
        for (name, duration) in [
            ("database.timeout", settings.database_timeout),
            ("redis.timeout", settings.redis_timeout),
            ("n8n.timeout", settings.n8n_timeout),
            ("n8n.probe_interval", settings.n8n_probe_interval),
            ("n8n.reconcile_interval", settings.n8n_reconcile_interval),
            (
                "audit.checkpoint_interval",
                settings.audit_checkpoint_interval,
            ),
        ] {
            if duration.is_zero() {
                self.refuse(name, "this cannot be 0");
            }
        }
        for (name, delta) in [
            ("executor.deadline", settings.deadline),
            ("executor.confirm_within", settings.confirm_within.default),
            ("escalation.deadline", settings.escalation_deadline),
        ] {
            if delta.is_zero() {
                self.refuse(name, "this cannot be 0");
            }
        }
        if settings.public_url.is_none() && !is_loopback(&settings.n8n_base_url) {
            let n8n = without_credentials(settings.n8n_base_url.as_str());
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

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
