//! Everything that takes part: PostgreSQL, the guard, n8n, Sentinel.

use std::path::{Path, PathBuf};

use guard_testkit::postgres_server::{Durability, Server};
use reqwest::Client;
use tempfile::TempDir;

use super::Options;
use super::guard::Guard;
use super::n8n::{self, N8n};
use super::proxy::Proxy;
use super::sentinel::Sentinel;

/// A rule beside the default ones, whose playbook n8n does not have.
const NOWHERE: &str = "
  - id: nowhere
    event_type: anomaly_detected
    priority: 1000
    conditions: [{ field: context.metric, op: eq, value: nowhere }]
    action: { trigger_playbook: { name: not-in-n8n } }
";

/// What an instance is told beside what all are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It calls n8n.
    Direct,
    /// It calls n8n through the proxy, which sees every delivery.
    Proxied,
    /// It has another token than n8n.
    WrongToken,
    /// It may ask n8n's public API, with this key.
    WithApiKey(String),
}

/// Everything that takes part.
pub(crate) struct World {
    pub(crate) guard: Option<Guard>,
    pub(crate) n8n: N8n,
    pub(crate) proxy: Proxy,
    pub(crate) sentinel: Sentinel,
    pub(crate) client: Client,
    mode: Mode,
    port: u16,
    database: Server,
    folder: TempDir,
}

impl World {
    pub(crate) async fn make(options: &Options) -> Result<Self, String> {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        let folder = folder.map_err(|error| format!("a folder cannot be made: {error}"))?;
        write_rules(folder.path())?;
        let (port, n8n_port) = (free_port()?, free_port()?);
        let database = Server::start(Durability::Full)?;
        let guard = format!("http://127.0.0.1:{port}");
        let sentinel = Sentinel::start(&options.python, folder.path(), &guard)?;
        eprintln!("… n8n is started");
        let n8n = N8n::start(
            &options.xtask,
            folder.path(),
            n8n_port,
            sentinel.address(),
            &guard,
        )?;
        let proxy = Proxy::start(&n8n.address()).await?;
        let mut world = Self {
            guard: None,
            n8n,
            proxy,
            sentinel,
            client: Client::new(),
            mode: Mode::Direct,
            port,
            database,
            folder,
        };
        world.start_guard(Mode::Direct)?;
        Ok(world)
    }

    /// The guard, which runs.
    pub(crate) fn guard(&self) -> &Guard {
        self.guard.as_ref().expect("the guard runs")
    }

    /// Starts the guard at its address, in the place of the one that runs.
    pub(crate) fn start_guard(&mut self, mode: Mode) -> Result<(), String> {
        self.kill_guard();
        let guard = Guard::start(self.folder.path(), &self.environment(&mode))?;
        self.guard = Some(guard);
        self.mode = mode;
        Ok(())
    }

    pub(crate) fn kill_guard(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.kill();
        }
    }

    /// Everything as at the start, but for what is on record.
    pub(crate) async fn restore(&mut self) -> Result<(), String> {
        self.n8n.up()?;
        self.n8n.answers(&self.client).await?;
        self.sentinel
            .post("/trial/reset", serde_json::json!({}))
            .await?;
        if self.guard.is_none() || self.mode != Mode::Direct {
            self.start_guard(Mode::Direct)?;
        }
        Ok(())
    }

    /// Stops everything. If something went wrong, the logs stay where they are told.
    pub(crate) async fn stop(mut self) {
        self.kill_guard();
        _ = self.n8n.down();
        _ = tokio::task::spawn_blocking(move || self.database.stop()).await;
        if std::env::var_os("E2E_KEEP").is_some() {
            eprintln!("the logs are in {}", self.folder.keep().display());
        }
    }

    fn environment(&self, mode: &Mode) -> Vec<(String, String)> {
        let set = |name: &str, value: String| (name.to_owned(), value);
        let n8n = match mode {
            Mode::Proxied => self.proxy.address.clone(),
            Mode::Direct | Mode::WrongToken | Mode::WithApiKey(_) => self.n8n.address(),
        };
        let token = match mode {
            Mode::WrongToken => "another-token",
            Mode::Direct | Mode::Proxied | Mode::WithApiKey(_) => n8n::TOKEN,
        };
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let mut environment = vec![
            set("DATABASE_URL", self.database.url().to_owned()),
            set("N8N_BASE_URL", n8n),
            set("N8N_WEBHOOK_TOKEN", token.to_owned()),
            set("NEURAL_GUARD__DATA_DIR", path("data")),
            set("NEURAL_GUARD__RULES__PATH", path("rules.yaml")),
            set(
                "NEURAL_GUARD__SERVER__LISTEN",
                format!("127.0.0.1:{}", self.port),
            ),
            // A run that was killed is to be noticed while somebody waits.
            set(
                "NEURAL_GUARD__PLAYBOOKS__CONFIRM_WITHIN",
                "health-failsafe:25s".to_owned(),
            ),
        ];
        if let Mode::WithApiKey(key) = mode {
            environment.push(set("NEURAL_GUARD__N8N__API_KEY", key.clone()));
            let interval = "2s".to_owned();
            environment.push(set("NEURAL_GUARD__N8N__RECONCILE_INTERVAL", interval));
        }
        environment
    }
}

/// The default rules, and one more.
fn write_rules(folder: &Path) -> Result<(), String> {
    let defaults = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rules/default.yaml");
    let text = std::fs::read_to_string(defaults).map_err(|error| error.to_string())?;
    let (rules, tests) = text
        .split_once("\ntests:")
        .ok_or("the default rules have no tests")?;
    let text = format!("{rules}{NOWHERE}\ntests:{tests}");
    std::fs::write(folder.join("rules.yaml"), text).map_err(|error| error.to_string())
}

/// A port that is free now, for what has to come back at the same one.
fn free_port() -> Result<u16, String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0");
    let address = listener.and_then(|listener| listener.local_addr());
    Ok(address.map_err(|error| error.to_string())?.port())
}
