//! Load from several connections, and a book of what was sent and answered.

mod event;
mod sender;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use sqlx::types::Uuid;
use tokio::task::JoinSet;

use super::dice::Dice;
pub(crate) use event::Sent;
use sender::Sender;

/// Events that were answered and may be posted again, at most.
const RECENT: usize = 200;
/// How long what has a key is posted again at the end, until it is answered.
const LAST_TRIES: Duration = Duration::from_secs(60);

/// What came of a request.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// 200.
    Answered(Receipt),
    /// 503 that says that nothing was recorded.
    NotRecorded,
    /// 503 that says that this is unknown, or no answer at all.
    Unknown,
    /// What nobody should be answered.
    Wrong(String),
}

/// What a 200 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) event: Uuid,
    pub(crate) decision: String,
    pub(crate) execution: Option<Uuid>,
    pub(crate) replayed: bool,
}

/// Everything that was sent; the place of an event in it is its number.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) events: Vec<Sent>,
    /// Events with a key that have no answer yet.
    unanswered: VecDeque<usize>,
    /// Events with a key that were answered a short while ago.
    recent: VecDeque<usize>,
    last_answer: Option<Instant>,
    /// The longest time in which nobody was answered.
    pub(crate) silence: Duration,
}

impl Book {
    /// Notes what came of a request.
    pub(crate) fn note(&mut self, number: usize, fate: Fate) {
        let event = &mut self.events[number];
        let answered = matches!(fate, Fate::Answered(_));
        if answered {
            let now = Instant::now();
            let since = self.last_answer.replace(now).unwrap_or(now);
            self.silence = self.silence.max(now - since);
        }
        event.fates.push(fate);
        if event.key.is_none() {
            return;
        }
        if answered {
            self.recent.push_back(number);
            if self.recent.len() > RECENT {
                self.recent.pop_front();
            }
        } else {
            self.unanswered.push_back(number);
        }
    }
}

/// Load that runs until it is stopped.
pub(crate) struct Load {
    pub(crate) book: Arc<Mutex<Book>>,
    shared: Arc<Shared>,
    senders: JoinSet<()>,
}

struct Shared {
    balancer: SocketAddr,
    seed: u64,
    round: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    /// Starts load: `connections` that post all kinds of events, and as many that post at the same moment.
    pub(crate) fn start(balancer: SocketAddr, seed: u64, connections: usize) -> Self {
        let book: Arc<Mutex<Book>> = Arc::default();
        let shared = Arc::new(Shared {
            balancer,
            seed,
            round: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let mut senders = JoinSet::new();
        for place in 0..connections {
            let sender = Sender::new(shared.clone(), book.clone(), 100 + place as u64);
            senders.spawn(sender.post_all_kinds());
        }
        senders.spawn(sender::post_volleys(
            shared.clone(),
            book.clone(),
            connections,
        ));
        Self {
            book,
            shared,
            senders,
        }
    }

    /// Rounds have values of their own, so that cooldowns do not end the game.
    pub(crate) fn begin_round(&self, round: u64) {
        self.shared.round.store(round, Ordering::Relaxed);
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no panic")
    }

    /// Stops, and posts what has a key and no answer until it has one.
    pub(crate) async fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        while self.senders.join_next().await.is_some() {}
        let mut sender = Sender::new(self.shared.clone(), self.book.clone(), 99);
        let begun = Instant::now();
        loop {
            let next = self.book().unanswered.pop_front();
            let Some(number) = next else { return };
            if self.book().events[number].is_answered() {
                continue;
            }
            if begun.elapsed() > LAST_TRIES {
                return;
            }
            sender.post_again(number).await;
        }
    }
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn dice(&self, purpose: u64) -> Dice {
        Dice::of(self.seed, purpose)
    }
}
