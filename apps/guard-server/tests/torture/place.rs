//! Where a run takes place: its folder, its database, and what its servers are told.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use guard_testkit::postgres_server::{Durability, Server};
use tempfile::TempDir;

use super::options::Kind;
use super::record::Reader;

pub(crate) const API_KEY: &str = "sentinel-key-of-the-torture";

/// What decides about the events of `load.rs`: rules with a long and a short cooldown, one that always acts, one with a window.
/// Events of type `user_offboarding` match none.
const RULES: &str = "rules:
  - id: lock
    event_type: security_threat
    conditions: [{ field: context.use, op: eq, value: lock }]
    cooldown_by: [context.v]
    cooldown_minutes: 60
    action: { trigger_playbook: { name: lock } }
  - id: brief
    event_type: security_threat
    conditions: [{ field: context.use, op: eq, value: brief }]
    cooldown_by: [context.v]
    cooldown_minutes: 1
    action: { trigger_playbook: { name: brief } }
  - id: work
    event_type: backup_failed
    cooldown_by: [context.v]
    cooldown_minutes: 60
    action: { trigger_playbook: { name: work } }
  - id: burst
    event_type: anomaly_detected
    window: { count: 3, within: 5s, by: [context.v] }
    action: { log: { level: debug } }
  - { id: rest, event_type: [anomaly_detected, health_check_failed], action: ignore }
";

/// How long an instance holds a delivery: the least that the server accepts for a call of at most a second.
pub(crate) const LEASE: std::time::Duration = std::time::Duration::from_millis(11_500);

enum Database {
    Sqlite,
    Postgres(Arc<Mutex<Server>>),
}

pub(crate) struct Place {
    folder: TempDir,
    database: Database,
    url: String,
}

impl Place {
    pub(crate) fn make(kind: Kind) -> Result<Self, String> {
        // Under the build's folder: a temporary folder may be in memory, where nothing waits for a disk.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        let folder = folder.map_err(|error| format!("a folder cannot be made: {error}"))?;
        std::fs::write(folder.path().join("rules.yaml"), RULES)
            .map_err(|error| error.to_string())?;
        let (database, url) = match kind {
            Kind::Sqlite => {
                let url = format!("sqlite://{}", folder.path().join("guard.db").display());
                (Database::Sqlite, url)
            }
            Kind::Postgresql => {
                let server = Server::start(Durability::Full)?;
                let url = server.url().to_owned();
                (Database::Postgres(Arc::new(Mutex::new(server))), url)
            }
        };
        Ok(Self {
            folder,
            database,
            url,
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The environment of every instance, beside its own.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let set = |name, value: &str| (name, value.to_owned());
        vec![
            set("DATABASE_URL", &self.url),
            set("NEURAL_GUARD_API_KEY", API_KEY),
            set(
                "NEURAL_GUARD__DATA_DIR",
                &self.path("data").display().to_string(),
            ),
            set(
                "NEURAL_GUARD__RULES__PATH",
                &self.path("rules.yaml").display().to_string(),
            ),
            set("NEURAL_GUARD__SERVER__LISTEN", "127.0.0.1:0"),
            set("NEURAL_GUARD__N8N__TIMEOUT", "1s"),
            set("NEURAL_GUARD__N8N__MAX_IN_FLIGHT", "16"),
            set(
                "NEURAL_GUARD__EXECUTOR__LEASE",
                &format!("{}ms", LEASE.as_millis()),
            ),
            set("NEURAL_GUARD__EXECUTOR__ACK_WAIT", "100ms"),
            set("NEURAL_GUARD__EXECUTOR__CONFIRM_WITHIN", "8s"),
            set("NEURAL_GUARD__EXECUTOR__DEADLINE", "60s"),
            set("NEURAL_GUARD__RATE_LIMIT__REQUESTS", "1000000"),
            set("RUST_LOG", "warn"),
        ]
    }

    /// Cuts PostgreSQL off in the midst of everything; nothing on SQLite, which has no process.
    pub(crate) async fn break_database(&self) -> Result<(), String> {
        self.with_server(Server::break_off).await
    }

    pub(crate) async fn mend_database(&self) -> Result<(), String> {
        self.with_server(Server::start_again).await
    }

    async fn with_server(
        &self,
        act: impl FnOnce(&mut Server) -> Result<(), String> + Send + 'static,
    ) -> Result<(), String> {
        let Database::Postgres(server) = &self.database else {
            return Ok(());
        };
        let server = server.clone();
        let acting = move || act(&mut server.lock().expect("no panic"));
        tokio::task::spawn_blocking(acting).await.expect("no panic")
    }

    /// A connection that reads what is on record.
    pub(crate) async fn reader(&self) -> Result<Reader, String> {
        Reader::open(&self.url).await
    }

    /// Keeps the folder for who wants to look into it.
    pub(crate) fn keep(self) -> PathBuf {
        self.folder.keep()
    }
}
