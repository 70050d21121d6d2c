//! The example Sentinel of the Python client: what playbooks act on.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::child::Listening;

pub(crate) const TOKEN: &str = "sentinel-token-of-the-trial";

/// A running Sentinel.
pub(crate) struct Sentinel {
    process: Listening,
    client: Client,
}

/// A change that Sentinel made.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) key: String,
}

impl Sentinel {
    /// Starts it; it reports to the guard at an address.
    pub(crate) fn start(python: &Path, folder: &Path, guard: &str) -> Result<Self, String> {
        let app = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../clients/python/examples/sentinel/app.py");
        let log = std::fs::File::create(folder.join("sentinel.log"));
        let mut command = Command::new(python);
        command
            .arg(app)
            .args(["--port", "0"])
            .env("PYTHONUNBUFFERED", "1")
            .env("NEURAL_GUARD_URL", guard)
            .env("NEURAL_GUARD_API_KEY", super::guard::API_KEY)
            .env("SENTINEL_API_TOKEN", TOKEN)
            .env("SENTINEL_BACKUP_DIR", folder.join("backups"))
            .env("SENTINEL_TRIAL", "1")
            .stderr(log.map_err(|error| error.to_string())?);
        let process = Listening::start(&mut command, "the example Sentinel")?;
        let client = Client::builder()
            .timeout(Duration::from_secs(60))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { process, client })
    }

    pub(crate) fn address(&self) -> &str {
        &self.process.address
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, String> {
        self.ask(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<Value, String> {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, String> {
        let url = format!("{}{path}", self.process.address);
        let mut request = self.client.request(method, url).bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(|error| error.to_string())?;
        let status = response.status();
        let text = response.text().await.map_err(|error| error.to_string())?;
        if !status.is_success() {
            return Err(format!("Sentinel answered {status} to {path}: {text}"));
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Lets the next backups fail.
    pub(crate) async fn fail_backups(&self, count: u32) -> Result<(), String> {
        let body = json!({ "count": count });
        self.post("/trial/backup/failures", body).await.map(drop)
    }

    /// Lets every change take so long before it is made.
    pub(crate) async fn slow_down(&self, seconds: u32) -> Result<(), String> {
        let body = json!({ "seconds": seconds });
        self.post("/trial/slow", body).await.map(drop)
    }

    /// Whether a backup is there and whole.
    pub(crate) async fn has_backup(&self, file: &str) -> Result<bool, String> {
        let status = self.get(&format!("/api/v1/backup/status/{file}")).await?;
        Ok(status["exists"] == true && status["verified"] == true)
    }

    pub(crate) async fn blocks(&self, ip: &str) -> Result<bool, String> {
        let status = self.get(&format!("/api/v1/security/blocks/{ip}")).await?;
        Ok(status["blocked"] == true)
    }

    pub(crate) async fn service(&self, name: &str) -> Result<Value, String> {
        self.get(&format!("/api/v1/services/{name}")).await
    }

    /// Every change that was made under an execution's id.
    pub(crate) async fn changes_of(&self, execution: &str) -> Result<Vec<Change>, String> {
        let changes = self.changes().await?;
        let of_it = changes.into_iter();
        Ok(of_it
            .filter(|change| change.key.starts_with(execution))
            .collect())
    }

    /// Every change that was made.
    pub(crate) async fn changes(&self) -> Result<Vec<Change>, String> {
        let log = self.get("/trial/log").await?;
        let entries = log
            .as_array()
            .ok_or_else(|| format!("no log but {log}"))?
            .iter();
        let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or("").to_owned();
        Ok(entries
            .map(|entry| Change {
                method: text(entry, "method"),
                path: text(entry, "path"),
                key: text(entry, "idempotency_key"),
            })
            .collect())
    }
}
