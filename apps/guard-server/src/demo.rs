//! The main job, shown: sample events go in, decisions come out, playbooks run.

mod events;
mod print;
mod receiver;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use guard_app::ports::{Actor, PublishMode, Random};
use guard_http::{ServeSettings, interface, serve};
use reqwest::Client;
use secrecy::SecretString;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::config::{Origin, Resolved, Settings};
use crate::logging;
use crate::system::SystemRandom;
use crate::wiring::{Guard, Surroundings, build};
use print::{Printer, field};

/// How long executions may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the demo. With `once` it ends after the tables, and fails if anything did not go as it should.
///
/// # Errors
/// What kept it from running.
pub fn run(once: bool) -> anyhow::Result<ExitCode> {
    logging::start("warn,guard_app::escalate=off,guard_app::committer=off");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(show(once))
}

async fn show(once: bool) -> anyhow::Result<ExitCode> {
    let printer = Printer::new();
    let folder = tempfile::tempdir().context("no temporary folder can be made")?;
    let n8n_token = random_key("demo-n8n");
    let receiver = receiver::start(&n8n_token).await?;
    let admin_key = random_key("demo-admin");
    let settings = settings(folder.path(), receiver, &n8n_token, &admin_key)?;
    let listener = TcpListener::bind(settings.listen).await?;
    let address = listener.local_addr()?;
    let guard = build(&settings, address, Surroundings::default()).await?;
    guard
        .load_rules(&settings, PublishMode::NeverSeen, &Actor::system("demo"))
        .await?;
    let mut tasks = guard.start_background(&settings);
    let stop = guard.stops.requests.clone();
    tasks.spawn(serve(
        listener,
        interface(guard.api.clone()),
        ServeSettings::default(),
        stop,
    ));

    printer.title("Neural Guard demo");
    printer.line(&format!(
        "guard     http://{address}  (an empty database in {})",
        folder.path().display()
    ));
    printer.line(&format!(
        "n8n side  http://{receiver}  (a stand-in inside this process, not n8n: it takes the webhooks, then calls `start` and `result` back)"
    ));
    let guest = Guest {
        client: Client::builder().timeout(PATIENCE).build()?,
        address,
        key: admin_key,
    };
    let mut failures = guest.post_events(&printer).await?;
    failures += guest.show_executions(&printer).await?;
    guest.show_escalations(&printer).await?;
    if !once {
        printer.title("Try next (Ctrl-C ends it)");
        printer.line(&guest.curl());
        printer.line(&format!(
            "open http://{address}/docs for every route; the bearer token is {}",
            guest.key
        ));
        tokio::signal::ctrl_c().await?;
    }
    close(guard, tasks).await;
    if failures > 0 {
        printer.line(&format!("{failures} of these did not go as they should"));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

async fn close(guard: Guard, mut tasks: JoinSet<()>) {
    guard.stops.requests.cancel();
    guard.stops.background.cancel();
    while tasks.join_next().await.is_some() {}
    guard.close().await;
}

fn random_key(prefix: &str) -> String {
    format!("{prefix}-{:032x}", SystemRandom.next_u128())
}

fn settings(
    folder: &std::path::Path,
    receiver: SocketAddr,
    n8n_token: &str,
    admin_key: &str,
) -> anyhow::Result<Settings> {
    let mut resolved = Resolved::defaults();
    let mut set = |name, value: String| resolved.set(name, value, Origin::Default);
    set("server.listen", "127.0.0.1:0".to_owned());
    set("data_dir", folder.display().to_string());
    set("n8n.base_url", format!("http://{receiver}"));
    set("n8n.webhook_token", n8n_token.to_owned());
    set("instance.id", "demo".to_owned());
    let mut settings = Settings::of(&resolved)?;
    settings.admin_key = Some(SecretString::from(admin_key.to_owned()));
    Ok(settings)
}

/// A client of the demo's server.
struct Guest {
    client: Client,
    address: SocketAddr,
    key: String,
}

impl Guest {
    async fn get(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let url = format!("http://{}{path}", self.address);
        let response = self.client.get(url).bearer_auth(&self.key).send().await?;
        let page: Value = response.error_for_status()?.json().await?;
        Ok(page
            .get("items")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default())
    }

    /// Posts the sample events as Sentinel would. Returns how many were not taken in.
    async fn post_events(&self, printer: &Printer) -> anyhow::Result<usize> {
        printer.title("Events, posted as Sentinel posts them");
        let mut failures = 0;
        let mut rows = Vec::new();
        for event in events::samples()? {
            let begun = Instant::now();
            let response = self
                .client
                .post(format!("http://{}/events", self.address))
                .bearer_auth(&self.key)
                .json(&event)
                .send()
                .await?;
            let taken = begun.elapsed();
            let (status, answer) = (response.status(), response.json::<Value>().await?);
            failures += usize::from(!status.is_success());
            let decision = match status.is_success() {
                true => field(&answer, "decision"),
                false => format!("{status}: {}", field(&answer, "detail")),
            };
            rows.push(vec![
                field(&event, "event_type"),
                field(&event, "severity"),
                decision,
                field(&answer, "rule_id"),
                field(&answer, "playbook_triggered"),
                format!("{:.1} ms", taken.as_secs_f64() * 1000.0),
            ]);
        }
        printer.table(
            &["event", "severity", "decision", "rule", "playbook", "time"],
            &rows,
        );
        Ok(failures)
    }

    /// Waits until every execution has ended. Returns how many did not succeed.
    async fn show_executions(&self, printer: &Printer) -> anyhow::Result<usize> {
        let ended = |execution: &Value| !execution.get("finished_at").is_none_or(Value::is_null);
        let deadline = Instant::now() + PATIENCE;
        let executions = loop {
            let executions = self.get("/v1/executions").await?;
            if executions.iter().all(ended) || Instant::now() > deadline {
                break executions;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        if executions.is_empty() {
            bail!("no playbook was triggered");
        }
        printer.title("Executions, proven by what the workflows reported");
        let row = |execution: &Value| {
            let names = ["playbook", "rule_id", "attempts", "state", "message"];
            names.iter().map(|name| field(execution, name)).collect()
        };
        let rows: Vec<Vec<String>> = executions.iter().rev().map(row).collect();
        printer.table(
            &["playbook", "rule", "attempts", "outcome", "reported"],
            &rows,
        );
        Ok(executions
            .iter()
            .filter(|execution| field(execution, "state") != "succeeded")
            .count())
    }

    async fn show_escalations(&self, printer: &Printer) -> anyhow::Result<()> {
        printer.title("Escalations: calls for a human");
        let row = |escalation: &Value| {
            let names = ["severity", "contact", "reason", "rule_id", "message"];
            names.iter().map(|name| field(escalation, name)).collect()
        };
        let rows: Vec<Vec<String>> = self
            .get("/v1/escalations")
            .await?
            .iter()
            .rev()
            .map(row)
            .collect();
        printer.table(&["severity", "contact", "reason", "rule", "message"], &rows);
        Ok(())
    }

    /// A command that works as pasted.
    fn curl(&self) -> String {
        format!(
            "curl -s http://{}/events -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' \
             -d \"{{\\\"event_type\\\":\\\"backup_failed\\\",\\\"severity\\\":\\\"high\\\",\\\"source\\\":\\\"curl\\\",\
             \\\"timestamp\\\":\\\"$(date -u +%FT%TZ)\\\",\\\"context\\\":{{\\\"backup_file\\\":\\\"mine.sql.gz\\\",\\\"retry_count\\\":0}}}}\"",
            self.address, self.key
        )
    }
}
