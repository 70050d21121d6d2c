//! Runs of workflows: start, act if the answer is 200, report.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sqlx::types::Uuid;

use super::super::http::Connection;
use super::Shared;

/// How long a workflow tries to reach the server for a callback: longer than an instance is frozen.
const PERSISTENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(6);

/// Where and by what right a workflow reports.
#[derive(Clone)]
pub(super) struct Callbacks {
    pub(super) execution: Uuid,
    pub(super) address: SocketAddr,
    pub(super) path: String,
    pub(super) token: String,
}

/// How a run goes on after its start.
struct Temper {
    lasts: Duration,
    succeeds: bool,
    reports: u32,
}

impl Shared {
    /// Begins a run under an id of its own.
    pub(super) fn begin_run(self: &Arc<Self>, callbacks: &Callbacks) {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let temper = {
            let mut dice = self.dice.lock().expect("no panic");
            Temper {
                lasts: dice.millis(0, 300),
                succeeds: dice.percent(80),
                // Now and then a result is reported twice, or never.
                reports: dice.pick(&[1, 1, 1, 1, 1, 1, 2, 2, 0]),
            }
        };
        let running = self
            .clone()
            .run(format!("run-{number}"), callbacks.clone(), temper);
        tokio::spawn(running);
    }

    async fn run(self: Arc<Self>, id: String, callbacks: Callbacks, temper: Temper) {
        let execution = callbacks.execution;
        {
            let mut seen = self.seen.lock().expect("no panic");
            seen.asking.entry(execution).or_default().insert(id.clone());
        }
        let body = format!(r#"{{"n8n_execution_id":"{id}"}}"#);
        match self.call(&callbacks, "start", &body).await {
            Some(200) => {
                let mut seen = self.seen.lock().expect("no panic");
                seen.acting.entry(execution).or_default().insert(id);
            }
            Some(409) => {
                self.seen.lock().expect("no panic").refused_starts += 1;
                return;
            }
            _ => return,
        }
        tokio::time::sleep(temper.lasts).await;
        let status = if temper.succeeds {
            "succeeded"
        } else {
            "failed"
        };
        let body = format!(r#"{{"status":"{status}","message":"the stand-in says so"}}"#);
        for _ in 0..temper.reports {
            if let Some(200) = self.call(&callbacks, "result", &body).await {
                let mut seen = self.seen.lock().expect("no panic");
                seen.results.push((execution, temper.succeeds));
            }
        }
    }

    /// Calls until there is an answer that says something: its status.
    async fn call(&self, callbacks: &Callbacks, what: &str, body: &str) -> Option<u16> {
        let path = format!("{}/{what}", callbacks.path);
        let mut connection = Connection::new(callbacks.address);
        let begun = Instant::now();
        while begun.elapsed() < PERSISTENCE {
            let token = &callbacks.token;
            let answer = connection.post(&path, token, None, body, PATIENCE).await;
            match answer {
                Some(answer) if matches!(answer.status, 200 | 409) => return Some(answer.status),
                Some(answer) if answer.status == 503 => {}
                Some(answer) => {
                    let wrong = format!("{path} was answered {}: {}", answer.status, answer.body);
                    self.seen.lock().expect("no panic").wrong.push(wrong);
                    return None;
                }
                None => {}
            }
            connection.close();
            tokio::time::sleep(PAUSE).await;
        }
        None
    }
}
