//! The guard, as operators and Sentinel see it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;

use super::child::Listening;
use super::wait::{now, wait_for};

pub(crate) const API_KEY: &str = "sentinel-key-of-the-trial";
const ADMIN_KEY: &str = "admin-key-of-the-trial";

/// A running guard.
pub(crate) struct Guard {
    process: Listening,
    client: Client,
}

impl Guard {
    /// Starts the server in a folder; what it is told beside its keys is in the environment.
    pub(crate) fn start(folder: &Path, environment: &[(String, String)]) -> Result<Self, String> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("guard.log"))
            .map_err(|error| error.to_string())?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_guard-server"));
        command
            .env_clear()
            .current_dir(folder)
            .env("NEURAL_GUARD_API_KEY", API_KEY)
            .env("NEURAL_GUARD_ADMIN_KEY", ADMIN_KEY)
            .env("RUST_LOG", "info")
            .envs(environment.iter().cloned())
            .stderr(log);
        let process = Listening::start(&mut command, "the guard")?;
        let client = Client::builder()
            .timeout(Duration::from_secs(20))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { process, client })
    }

    pub(crate) fn kill(self) {
        self.process.kill();
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, String> {
        self.ask(self.client.get(self.url(path))).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.ask(self.client.post(self.url(path)).json(body)).await
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Value, String> {
        let response = request.bearer_auth(ADMIN_KEY).send().await;
        let response = response.map_err(|error| format!("the guard does not answer: {error}"))?;
        let status = response.status();
        let body = response.text().await.map_err(|error| error.to_string())?;
        if !status.is_success() {
            return Err(format!("the guard answered {status}: {body}"));
        }
        serde_json::from_str(&body).map_err(|error| error.to_string())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.process.address)
    }

    /// Posts an event as of now; gives the answer.
    pub(crate) async fn event(
        &self,
        event_type: &str,
        severity: &str,
        context: Value,
    ) -> Result<Value, String> {
        let event = serde_json::json!({
            "event_type": event_type,
            "severity": severity,
            "source": "sentinel",
            "timestamp": now(),
            "context": context,
        });
        self.post("/events", &event).await
    }

    /// Posts an event that triggers a playbook; gives the execution's id.
    pub(crate) async fn trigger(
        &self,
        event_type: &str,
        severity: &str,
        context: Value,
    ) -> Result<String, String> {
        let answer = self.event(event_type, severity, context).await?;
        let id = answer["execution_id"].as_str();
        id.map(str::to_owned)
            .ok_or_else(|| format!("no execution followed: {answer}"))
    }

    pub(crate) async fn execution(&self, id: &str) -> Result<Value, String> {
        self.get(&format!("/v1/executions/{id}")).await
    }

    /// Waits until an execution is in a state.
    pub(crate) async fn reaches(
        &self,
        id: &str,
        state: &str,
        at_most: Duration,
    ) -> Result<Value, String> {
        let what = format!("execution {id} becomes `{state}`");
        let reached = wait_for(&what, at_most, async || {
            let execution = self.execution(id).await.ok()?;
            (execution["state"] == state).then_some(execution)
        });
        match reached.await {
            Ok(execution) => Ok(execution),
            Err(why) => {
                let stands = self.execution(id).await.unwrap_or_default();
                let message = stands["message"].as_str().unwrap_or("no message");
                Err(format!("{why}; it is {} ({message})", stands["state"]))
            }
        }
    }

    /// Waits for the newest execution of a playbook that was decided after a moment.
    pub(crate) async fn ordered(
        &self,
        playbook: &str,
        after: &str,
        at_most: Duration,
    ) -> Result<String, String> {
        let path = format!("/v1/executions?playbook={playbook}&limit=1");
        let what = format!("an execution of {playbook}");
        wait_for(&what, at_most, async || {
            let page = self.get(&path).await.ok()?;
            let newest = &page["items"][0];
            let is_new = newest["executed_at"].as_str()? > after;
            is_new
                .then(|| newest["id"].as_str().map(str::to_owned))
                .flatten()
        })
        .await
    }

    /// The reasons of the escalations about an execution.
    pub(crate) async fn escalations_of(&self, id: &str) -> Result<Vec<String>, String> {
        let page = self.get("/v1/escalations?limit=500").await?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        let of_it = items.iter().filter(|item| item["execution_id"] == id);
        Ok(of_it
            .filter_map(|item| item["reason"].as_str().map(str::to_owned))
            .collect())
    }
}
