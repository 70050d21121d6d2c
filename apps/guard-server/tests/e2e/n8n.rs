//! A real n8n with the guard's workflows, started and stopped by `cargo xtask n8n`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::wait::wait_for;

pub(crate) const TOKEN: &str = "webhook-token-of-the-trial";
/// How long n8n may take from its start until webhooks answer.
const START: Duration = Duration::from_secs(120);

/// n8n in a folder of its own.
pub(crate) struct N8n {
    xtask: PathBuf,
    folder: PathBuf,
    port: u16,
    sentinel: String,
    guard: String,
    running: bool,
}

impl N8n {
    /// Starts n8n with every workflow.
    pub(crate) fn start(
        xtask: &Path,
        folder: &Path,
        port: u16,
        sentinel: &str,
        guard: &str,
    ) -> Result<Self, String> {
        let mut n8n = Self {
            xtask: xtask.to_owned(),
            folder: folder.join("n8n"),
            port,
            sentinel: sentinel.to_owned(),
            guard: guard.to_owned(),
            running: false,
        };
        n8n.up()?;
        Ok(n8n)
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it, if it does not run; what it knew, it knows.
    pub(crate) fn up(&mut self) -> Result<(), String> {
        if self.running {
            return Ok(());
        }
        let port = self.port.to_string();
        let output = self
            .command(&["up", "--detach", "--port", &port])
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("n8n does not start: {said}"));
        }
        self.running = true;
        Ok(())
    }

    /// Stops it as an operator does.
    pub(crate) fn down(&mut self) -> Result<(), String> {
        self.running = false;
        let status = self.command(&["down"]).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("n8n does not stop: {other:?}")),
        }
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        let running = std::fs::read_to_string(self.folder.join("running.json"));
        let running: Value = running
            .map_err(|error| error.to_string())
            .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
            .map_err(|error| format!("n8n's process id is not known: {error}"))?;
        let process = running["process"].to_string();
        let status = Command::new("kill").args(["-KILL", &process]).status();
        if !status.is_ok_and(|status| status.success()) {
            return Err("n8n cannot be killed".to_owned());
        }
        self.running = false;
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.xtask);
        command
            .arg("n8n")
            .args(arguments)
            .arg("--folder")
            .arg(&self.folder)
            .env("N8N_WEBHOOK_TOKEN", TOKEN)
            .env("SENTINEL_API_TOKEN", super::sentinel::TOKEN)
            .env("SENTINEL_URL", &self.sentinel)
            .env("NEURAL_GUARD_URL", &self.guard)
            .env("NEURAL_GUARD_API_KEY", super::guard::API_KEY);
        command
    }

    /// A key of n8n's public API, made as its owner does in the editor.
    pub(crate) async fn make_api_key(&self) -> Result<String, String> {
        let client = Client::new();
        let owner = json!({
            "email": "owner@example.com", "firstName": "E", "lastName": "E", "password": "Passw0rd-e2e",
        });
        let request = client.post(format!("{}/rest/owner/setup", self.address()));
        let (headers, _) = answer(request.json(&owner)).await?;
        let cookie = headers.get("set-cookie").ok_or("n8n gives no cookie")?;
        let wish = json!({ "label": "guard", "scopes": ["execution:read"], "expiresAt": null });
        let request = client.post(format!("{}/rest/api-keys", self.address()));
        let (_, made) = answer(request.header("cookie", cookie).json(&wish)).await?;
        let key = made["data"]["rawApiKey"].as_str().map(str::to_owned);
        key.ok_or_else(|| "n8n gives no key".to_owned())
    }

    /// How long n8n takes to say that it is well.
    pub(crate) async fn answers_within(&self, client: &Client) -> Option<Duration> {
        let began = Instant::now();
        let url = format!("{}/healthz", self.address());
        let answer = client.get(url).timeout(START).send().await.ok()?;
        answer.status().is_success().then(|| began.elapsed())
    }

    /// Waits until n8n answers.
    pub(crate) async fn answers(&self, client: &Client) -> Result<(), String> {
        let answers = wait_for("n8n answers", START, async || {
            self.answers_within(client).await
        });
        answers.await.map(drop)
    }
}

impl Drop for N8n {
    fn drop(&mut self) {
        if self.running {
            _ = self.down();
        }
    }
}

async fn answer(request: RequestBuilder) -> Result<(HeaderMap, Value), String> {
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.text().await.map_err(|error| error.to_string())?;
    if !status.is_success() {
        return Err(format!("n8n answered {status}: {body}"));
    }
    let body = serde_json::from_str(&body).map_err(|error| error.to_string())?;
    Ok((headers, body))
}
