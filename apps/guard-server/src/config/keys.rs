//! Every key there is.

/// A key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name: section and key.
    pub name: &'static str,
    /// The environment variable that other programs know it by.
    pub familiar: Option<&'static str>,
    /// What it is if nobody says; `None` for not set.
    pub default: Option<&'static str>,
    /// Whether it is never shown.
    pub secret: bool,
    /// What it is for.
    pub about: &'static str,
}

const fn key(name: &'static str, default: &'static str, about: &'static str) -> Key {
    Key {
        name,
        familiar: None,
        default: Some(default),
        secret: false,
        about,
    }
}

impl Key {
    const fn unset(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            familiar: None,
            default: None,
            secret: false,
            about,
        }
    }

    const fn known_as(mut self, familiar: &'static str) -> Self {
        self.familiar = Some(familiar);
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// Every key, in the order in which they are shown. Durations are `500ms`, `15m`, `1h`, or `0`; lists in the environment are
/// separated by commas.
pub const KEYS: &[Key] = &[
    key(
        "server.listen",
        "127.0.0.1:3000",
        "address to listen on; port 0 picks a free one",
    ),
    Key::unset(
        "server.public_url",
        "address at which n8n reaches this server",
    ),
    Key::unset(
        "server.tls.certificate",
        "file of the certificate that clients see, with those that lead to its issuer behind it, in PEM; read again when it changes",
    ),
    Key::unset(
        "server.tls.key",
        "file of the certificate's private key in PEM, unencrypted; the server speaks TLS if both are set",
    ),
    key("server.dry_run", "false", "decide, and call nothing"),
    key(
        "server.max_connections",
        "4096",
        "connections at once; further ones wait",
    ),
    key(
        "server.max_connections_per_address",
        "1024",
        "connections at once of one address, which a proxy in front is too; further ones are closed; 0: no limit",
    ),
    key(
        "server.header_timeout",
        "10s",
        "how long the headers of a request may take, those of a first one from the connection on",
    ),
    key(
        "server.body_timeout",
        "30s",
        "how long the body of a request may take",
    ),
    key(
        "server.idle_timeout",
        "75s",
        "how long a connection may be without a request; more than a proxy in front keeps it",
    ),
    key(
        "server.write_timeout",
        "30s",
        "how long a client may be behind in reading its answer",
    ),
    key(
        "server.stop_delay",
        "0",
        "how long to be unready before stopping, for a load balancer to see it",
    ),
    Key::unset(
        "metrics.listen",
        "a listener of its own for /metrics, open to whoever reaches it",
    ),
    key(
        "data_dir",
        "data",
        "folder of the embedded database; created if it is not there",
    ),
    key(
        "database.url",
        "sqlite://neural-guard.db",
        "sqlite://FILE, relative to data_dir, or postgres://USER:PASSWORD@HOST/DATABASE",
    )
    .known_as("DATABASE_URL"),
    key("database.timeout", "5s", "how long a transaction may take"),
    Key::unset(
        "database.migrate_url",
        "postgres:// address for migrations, past a pooler in transaction mode that database.url names",
    )
    .secret(),
    Key::unset(
        "rules.path",
        "rule file, or folder of them; the default rules if not set",
    ),
    key(
        "rules.fields",
        "",
        "fields that events have, for `rules check`, such as backup_failed:context.backup_file; a type that is not named is not checked",
    ),
    key(
        "rate_limit.requests",
        "1000",
        "events per window and source, and as many critical ones; 0: no limit",
    ),
    key(
        "rate_limit.window",
        "60s",
        "the window of the rate limit, 1s to 1d",
    ),
    key(
        "rate_limit.overrides",
        "",
        "limits of single sources, such as sentinel:5000 or acme/sentinel:5000",
    ),
    key(
        "executor.ack_wait",
        "500ms",
        "how long to wait for n8n's acknowledgement before answering; 0: not at all",
    ),
    key(
        "executor.lease",
        "45s",
        "how long an instance holds an execution; more than n8n.timeout + 10s",
    ),
    key(
        "executor.deadline",
        "1h",
        "how long after its decision an execution is delivered at the latest",
    ),
    key(
        "executor.confirm_within",
        "15m",
        "how long a workflow may take to report after the acknowledgement",
    ),
    key(
        "playbooks.confirm_within",
        "",
        "the same for single playbooks, such as backup-recovery:2h",
    ),
    key("n8n.base_url", "http://127.0.0.1:5678", "address of n8n").known_as("N8N_BASE_URL"),
    Key::unset("n8n.webhook_token", "bearer token of n8n's webhooks")
        .known_as("N8N_WEBHOOK_TOKEN")
        .secret(),
    Key::unset(
        "n8n.signing_secret",
        "signs deliveries by Standard Webhooks",
    )
    .secret(),
    Key::unset(
        "n8n.api_key",
        "key of n8n's public API, to ask how unconfirmed runs ended",
    )
    .secret(),
    key(
        "n8n.reconcile_interval",
        "60s",
        "how often to ask about unconfirmed runs, if n8n.api_key is set",
    ),
    key("n8n.timeout", "30s", "how long a call of n8n may take"),
    key("n8n.max_in_flight", "8", "calls of n8n at once"),
    key(
        "n8n.probe_interval",
        "30s",
        "how often to see whether n8n and the playbooks are there",
    ),
    key(
        "events.extra_types",
        "",
        "event types beside the five known ones",
    ),
    key(
        "events.max_age",
        "1h",
        "older events are not acted on; 0: no limit",
    ),
    key(
        "retention",
        "90d",
        "how long events and audit records are kept; 2 days or more",
    ),
    Key::unset(
        "audit.signing_key",
        "file of the Ed25519 key (PKCS#8, PEM) that signs the audit trail; made in data_dir if not set; the same for all instances on one database",
    ),
    key(
        "audit.checkpoint_interval",
        "10s",
        "how often to sign what has been added to the audit trail",
    ),
    Key::unset(
        "audit.checkpoint_file",
        "file to which signatures of the audit trail are appended; audit-checkpoints.ndjson in data_dir if not set",
    ),
    Key::unset("instance.id", "name of this instance; made up if not set"),
    Key::unset(
        "callback.secret",
        "signs callback tokens; kept in the database if not set",
    )
    .secret(),
    key(
        "escalation.default_contact",
        "default",
        "who is called when no rule says who",
    ),
    key(
        "escalation.contacts",
        "",
        "names of further contacts; those with channels need not be named",
    ),
    key(
        "escalation.deadline",
        "24h",
        "how long after it was raised an escalation is sent at the latest",
    ),
    key(
        "escalation.repeat_after",
        "5m",
        "how long after one was sent what repeats it is not sent; 0: everything is sent",
    ),
    Key::unset("auth.api_key", "Sentinel's key, 16 characters or more")
        .known_as("NEURAL_GUARD_API_KEY")
        .secret(),
    Key::unset(
        "auth.admin_key",
        "an administrator's key, 16 characters or more",
    )
    .known_as("NEURAL_GUARD_ADMIN_KEY")
    .secret(),
    Key::unset(
        "auth.jwt.secret",
        "secret that JWTs are signed with (HS256), 32 bytes or more",
    )
    .secret(),
    Key::unset(
        "auth.jwt.public_key",
        "the issuer's public key in PEM: RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA)",
    ),
    Key::unset(
        "auth.jwt.public_key_file",
        "file of the issuer's public key in PEM",
    ),
    Key::unset(
        "auth.jwt.jwks_url",
        "where the issuer's public keys are, as a JWK set",
    ),
    Key::unset(
        "auth.jwt.issuer",
        "the issuer (`iss`) that JWTs must name; needed unless they are signed with a secret",
    ),
    Key::unset(
        "auth.jwt.audience",
        "the audience (`aud`) that JWTs must be for; needed unless they are signed with a secret",
    ),
    key(
        "auth.jwt.leeway",
        "30s",
        "how far the issuer's clock may be off, up to 5m",
    ),
    Key::unset("redis.url", "rate limits shared by instances")
        .known_as("REDIS_URL")
        .secret(),
    key(
        "redis.timeout",
        "50ms",
        "how long a request waits for Redis before this instance counts for itself",
    ),
    key("log.filter", "info", "what to log").known_as("RUST_LOG"),
    Key::unset("telemetry.otlp_endpoint", "where traces go")
        .known_as("OTEL_EXPORTER_OTLP_ENDPOINT"),
];

/// Keys that are read and have no effect in this release.
pub(crate) const WITHOUT_EFFECT: &[&str] = &["telemetry.otlp_endpoint"];
