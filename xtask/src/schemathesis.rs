//! The interface against its own description, by schemathesis.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use clap::Args;

use crate::process::{cargo, root};
use crate::python::{target, tool};
use crate::{ci, postgres_server::Durability};

/// What comes from the package index.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// A key for this run's server alone.
const ADMIN_KEY: &str = "admin-key-of-the-schemathesis-run";

/// Try the interface against /openapi.json with generated requests, right and wrong ones: schemathesis with every check on, its
/// configuration in xtask/schemathesis. Exit code 1 if anything is found
#[derive(Debug, Args)]
pub(crate) struct Schemathesis {
    /// The database
    #[arg(long, value_parser = ["sqlite", "postgres"], default_value = "sqlite")]
    database: String,
    /// Another seed than that of the configuration
    #[arg(long)]
    seed: Option<u64>,
    /// How long the whole run may take, in seconds
    #[arg(long, default_value_t = 240)]
    seconds: u64,
}

pub(crate) fn run(options: &Schemathesis) -> anyhow::Result<()> {
    cargo(&["build", "--quiet", "--package", "guard-server"], &[])?;
    let schemathesis = tool("schemathesis", SCHEMATHESIS)?;
    let folder = target().join("schemathesis");
    _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let postgres = match options.database.as_str() {
        "postgres" => Some(Database::create()?),
        _ => None,
    };
    let server = Server::start(&folder, postgres.as_ref().map(|database| &*database.url))?;
    let mut command = Command::new(schemathesis);
    command
        .arg("--config-file")
        .arg(root().join("xtask/schemathesis/schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", server.address)])
        .args(["--max-time", &options.seconds.to_string()])
        .args(options.seed.map(|seed| format!("--seed={seed}")))
        .env("SCHEMATHESIS_ADMIN_KEY", ADMIN_KEY)
        .env(
            "SCHEMATHESIS_HOOKS",
            root().join("xtask/schemathesis/hooks.py"),
        )
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(&folder);
    let status = command.status().context("schemathesis cannot be started")?;
    ensure!(status.success(), "schemathesis found something");
    Ok(())
}

/// The debug server on a throwaway database; it is killed when it is dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(folder: &Path, database: Option<&str>) -> anyhow::Result<Self> {
        let mut child = Command::new(target().join("debug/guard-server"))
            .env_clear()
            .envs(database.map(|url| ("DATABASE_URL", url)))
            .env("NEURAL_GUARD__SERVER__LISTEN", "127.0.0.1:0")
            .env("NEURAL_GUARD__DATA_DIR", folder.join("data"))
            .env("NEURAL_GUARD_ADMIN_KEY", ADMIN_KEY)
            .env("NEURAL_GUARD__RATE_LIMIT__REQUESTS", "0")
            .env("NEURAL_GUARD__EXECUTOR__ACK_WAIT", "0")
            // What is generated is full of stale events, each of which is an ERROR line. What breaks is answered 500.
            .env("RUST_LOG", "off")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("the server cannot be started")?;
        let lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
        let address = address.context("the server does not say where it listens");
        let mut server = Self {
            child,
            address: String::new(),
        };
        server.address = address?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A database of the PostgreSQL server of the tests, which goes when this is dropped.
struct Database {
    _server: Option<crate::postgres_server::Server>,
    maintenance: String,
    name: String,
    url: String,
}

impl Database {
    fn create() -> anyhow::Result<Self> {
        let (server, maintenance) = ci::postgres(Durability::None)?;
        let name = format!("guard_schemathesis_{}", std::process::id());
        let (before, after) = maintenance
            .rsplit_once('/')
            .context("a URL of a database")?;
        let options = after
            .split_once('?')
            .map(|(_, options)| format!("?{options}"));
        let url = format!("{before}/{name}{}", options.unwrap_or_default());
        let database = Self {
            _server: server,
            maintenance,
            name,
            url,
        };
        database.execute("CREATE DATABASE", "")?;
        Ok(database)
    }

    fn execute(&self, statement: &str, end: &str) -> anyhow::Result<()> {
        let statement = format!("{statement} {}{end}", self.name);
        let mut command = Command::new("psql");
        command.args([&self.maintenance, "--quiet", "--command", &statement]);
        let status = command.status().context(
            "`psql` cannot be started: install PostgreSQL's client (on Debian `apt-get install postgresql-client`)",
        )?;
        ensure!(status.success(), "`{statement}` failed");
        Ok(())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        _ = self.execute("DROP DATABASE IF EXISTS", " WITH (FORCE)");
    }
}
