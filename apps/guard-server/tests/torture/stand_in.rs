//! A stand-in for n8n that fails, is slow and lies, as the dice fall, and keeps a record of everything.

mod behaviour;
mod run;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sqlx::types::Uuid;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::dice::Dice;
use super::http::Message;
use behaviour::{Behaviour, Response};
use run::Callbacks;

/// How long a delivery is held where another claim is to come in between; less than the server waits for an answer.
const HELD: Duration = Duration::from_millis(900);
/// How long all deliveries take while everything is sluggish.
const SLUGGISH: Duration = Duration::from_millis(850);

/// What reached the stand-in, and what was answered to it.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) deliveries: Vec<Seized>,
    /// For each execution, each run that was told to go on.
    pub(crate) acting: HashMap<Uuid, HashSet<String>>,
    /// For each execution, every run that asked.
    pub(crate) asking: HashMap<Uuid, HashSet<String>>,
    pub(crate) refused_starts: u64,
    /// The results that were taken: execution, whether it succeeded.
    pub(crate) results: Vec<(Uuid, bool)>,
    /// Executions of which a run was answered to have failed.
    pub(crate) failed_by_answer: HashSet<Uuid>,
    /// Answers to callbacks that nobody should get, and deliveries that cannot be read.
    pub(crate) wrong: Vec<String>,
    /// Executions whose webhook is never registered.
    doomed: HashSet<Uuid>,
}

/// A delivery that came.
#[derive(Clone, Copy)]
pub(crate) struct Seized {
    pub(crate) execution: Uuid,
    pub(crate) attempt: i64,
    pub(crate) event: Uuid,
}

/// The stand-in.
pub(crate) struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    seen: Mutex<Seen>,
    dice: Mutex<Dice>,
    /// Runs so far, for their ids.
    runs: AtomicU64,
    /// From now on every delivery is answered and does what it should.
    calm: AtomicBool,
    sluggish: AtomicBool,
    /// Deliveries of these are dropped up to an attempt, and held after it.
    held: Mutex<HashMap<Uuid, i64>>,
    redelivered: Notify,
}

impl StandIn {
    pub(crate) async fn start(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            dice: Mutex::new(Dice::of(seed, 1)),
            runs: AtomicU64::new(0),
            calm: AtomicBool::new(false),
            sluggish: AtomicBool::new(false),
            held: Mutex::default(),
            redelivered: Notify::new(),
        });
        let accepting = shared.clone();
        tokio::spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(accepting.clone().serve(stream));
                }
            }
        });
        Self { address, shared }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().expect("no panic")
    }

    /// No more failing, no more lying.
    pub(crate) fn calm_down(&self) {
        self.shared.calm.store(true, Ordering::Relaxed);
    }

    /// Whether every delivery takes long, so that some are under way at any moment.
    pub(crate) fn set_sluggish(&self, sluggish: bool) {
        self.shared.sluggish.store(sluggish, Ordering::Relaxed);
    }

    /// Answers no attempt of these that is under way, and holds the ones that follow.
    pub(crate) fn hold(&self, under_way: impl IntoIterator<Item = (Uuid, i64)>) {
        self.shared.held.lock().expect("no panic").extend(under_way);
    }

    /// Waits until one of those is delivered again.
    pub(crate) async fn redelivered(&self) {
        self.shared.redelivered.notified().await;
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        _ = stream.set_nodelay(true);
        let mut buffer = Vec::new();
        while let Some(message) = Message::read(&mut stream, &mut buffer).await {
            let response = if message.head.starts_with("POST ") {
                self.clone().take(&message).await
            } else {
                Response::ok()
            };
            let Some(text) = response.text() else { return };
            if stream.write_all(text.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn take(self: Arc<Self>, message: &Message) -> Response {
        let body = message.json();
        let Some((seized, callbacks)) = read_delivery(message, &body) else {
            let text = String::from_utf8_lossy(&message.body).into_owned();
            let wrong =
                format!("a delivery cannot be read, or its header names another execution: {text}");
            self.seen.lock().expect("no panic").wrong.push(wrong);
            return Response::status(422);
        };
        let behaviour = self.note(seized);
        if self.sluggish.load(Ordering::Relaxed) {
            tokio::time::sleep(SLUGGISH).await;
        }
        match self.held_from(seized) {
            Some(last) if seized.attempt <= last => return Response::nothing(),
            Some(_) => {
                self.redelivered.notify_waiters();
                tokio::time::sleep(HELD).await;
            }
            None => {}
        }
        let response = self.clone().behave(behaviour, callbacks).await;
        match self.held_from(seized) {
            Some(last) if seized.attempt <= last => Response::nothing(),
            _ => response,
        }
    }

    /// The attempt up to which deliveries of an execution are dropped, if it is held.
    fn held_from(&self, seized: Seized) -> Option<i64> {
        let held = self.held.lock().expect("no panic");
        held.get(&seized.execution).copied()
    }

    /// Notes a delivery; gives what is to be done with it.
    fn note(&self, seized: Seized) -> Behaviour {
        let mut seen = self.seen.lock().expect("no panic");
        seen.deliveries.push(seized);
        let mut dice = self.dice.lock().expect("no panic");
        if seized.attempt == 1 && dice.percent(3) && !self.calm.load(Ordering::Relaxed) {
            seen.doomed.insert(seized.execution);
        }
        if seen.doomed.contains(&seized.execution) {
            Behaviour::Unregistered
        } else if self.calm.load(Ordering::Relaxed) {
            Behaviour::Works
        } else {
            Behaviour::throw(&mut dice)
        }
    }
}

/// A delivery and how its workflow reports; `None` unless header and body name the same execution.
fn read_delivery(message: &Message, body: &serde_json::Value) -> Option<(Seized, Callbacks)> {
    let own = &body["neural_guard"];
    let text = |name: &str| own[name].as_str();
    let execution: Uuid = text("execution_id")?.parse().ok()?;
    if message.header("idempotency-key")? != text("execution_id")? {
        return None;
    }
    let seized = Seized {
        execution,
        attempt: own["attempt"].as_i64()?,
        event: own["event"]["id"].as_str()?.parse().ok()?,
    };
    let url = text("callback_url")?.strip_prefix("http://")?;
    let (address, path) = url.split_once('/')?;
    let callbacks = Callbacks {
        execution,
        address: address.parse().ok()?,
        path: format!("/{path}"),
        token: text("callback_token")?.to_owned(),
    };
    Some((seized, callbacks))
}
