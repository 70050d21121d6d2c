//! Those who post.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;

use super::super::dice::Dice;
use super::super::http::{Answer, Connection};
use super::super::place::API_KEY;
use super::event::{Sent, Use, body};
use super::{Book, Fate, Receipt, Shared};

/// How long a sender waits for an answer: longer than a commit may take, shorter than an instance is frozen.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long a sender waits after it got no good answer.
const PAUSE: Duration = Duration::from_millis(30);
/// Between two volleys.
const VOLLEYS: (u64, u64) = (80, 250);

/// Who posts one request after the other over one connection.
pub(super) struct Sender {
    shared: Arc<Shared>,
    book: Arc<Mutex<Book>>,
    dice: Dice,
    connection: Connection,
}

impl Sender {
    pub(super) fn new(shared: Arc<Shared>, book: Arc<Mutex<Book>>, purpose: u64) -> Self {
        let (dice, connection) = (shared.dice(purpose), Connection::new(shared.balancer));
        Self {
            shared,
            book,
            dice,
            connection,
        }
    }

    pub(super) async fn post_all_kinds(mut self) {
        while !self.shared.stopped() {
            match self.dice.below(100) {
                0..3 => self.post_batch().await,
                3..10 => self.repeat().await,
                10..25 => self.try_again().await,
                _ => {
                    let number = self.make();
                    self.post_again(number).await;
                }
            }
            // Now and then over another connection, and so perhaps to another instance.
            if self.dice.percent(2) {
                self.connection.close();
            }
            let pause = self.dice.millis(0, 10);
            tokio::time::sleep(pause).await;
        }
    }

    /// An event of any kind, entered into the book.
    fn make(&mut self) -> usize {
        let what = match self.dice.below(1000) {
            0..15 => Use::Lock,
            15..30 => Use::Brief,
            30..45 => Use::Work,
            45..160 => Use::Burst,
            160..500 => Use::Rest,
            _ => Use::None,
        };
        let round = self.shared.round.load(std::sync::atomic::Ordering::Relaxed);
        let place = self.dice.below(3);
        let has_key = self.dice.percent(40);
        let severity = self.dice.pick(&["low", "medium", "high", "critical"]);
        enter(&self.book, has_key, |number, id| {
            let value = match what {
                Use::Lock | Use::Burst => format!("round-{round}-{place}"),
                Use::Brief => format!("always-{place}"),
                _ => format!("number-{number}"),
            };
            body(number, what, &value, severity, id)
        })
    }

    /// Posts what is in the book.
    pub(super) async fn post_again(&mut self, number: usize) {
        let (body, key) = {
            let mut book = self.book.lock().expect("no panic");
            let event = &mut book.events[number];
            match &event.key {
                Some(key) => (event.body.clone(), Some(key.clone())),
                None => (std::mem::take(&mut event.body), None),
            }
        };
        // The key stands in the header, or in the event itself.
        let header = key.as_deref().filter(|_| !body.starts_with("{\"id\""));
        let answer = self
            .connection
            .post("/events", API_KEY, header, &body, PATIENCE)
            .await;
        let fate = read(answer);
        let pause = !matches!(fate, Fate::Answered(_));
        self.book.lock().expect("no panic").note(number, fate);
        if pause {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Posts again what has a key and no answer.
    async fn try_again(&mut self) {
        let number = self.book.lock().expect("no panic").unanswered.pop_front();
        if let Some(number) = number {
            self.post_again(number).await;
        }
    }

    /// Posts again what has been answered.
    async fn repeat(&mut self) {
        let number = {
            let book = self.book.lock().expect("no panic");
            let place = self.dice.below(book.recent.len().max(1) as u64);
            book.recent.get(place as usize).copied()
        };
        if let Some(number) = number {
            self.post_again(number).await;
        }
    }

    async fn post_batch(&mut self) {
        let count = 2 + self.dice.below(20);
        let numbers: Vec<usize> = (0..count).map(|_| self.make()).collect();
        let texts: Vec<String> = {
            let book = self.book.lock().expect("no panic");
            // In a batch a key can only stand in the event.
            let with_key = |number: &&usize| {
                let event = &book.events[**number];
                event.key.is_none() || event.body.starts_with("{\"id\"")
            };
            numbers
                .iter()
                .filter(with_key)
                .map(|number| book.events[*number].body.clone())
                .collect()
        };
        let batch = format!("[{}]", texts.join(","));
        let answer = self
            .connection
            .post("/v1/events/batch", API_KEY, None, &batch, PATIENCE)
            .await;
        let mut items = match answer {
            Some(answer) if answer.status == 200 => {
                answer.body["items"].as_array().cloned().unwrap_or_default()
            }
            _ => Vec::new(),
        }
        .into_iter();
        let mut left = Vec::new();
        for number in numbers {
            let mut book = self.book.lock().expect("no panic");
            let event = &book.events[number];
            if event.key.is_some() && !event.body.starts_with("{\"id\"") {
                left.push(number);
                continue;
            }
            let fate = read(items.next().map(|item| Answer {
                status: item["status"].as_u64().unwrap_or(0) as u16,
                replayed: false,
                body: item["body"].clone(),
            }));
            book.note(number, fate);
        }
        for number in left {
            self.post_again(number).await;
        }
    }
}

/// Enters an event into the book. Half of those that have a key carry it themselves.
fn enter(
    book: &Mutex<Book>,
    has_key: bool,
    make: impl FnOnce(usize, Option<&str>) -> String,
) -> usize {
    let mut book = book.lock().expect("no panic");
    let number = book.events.len();
    let key = has_key.then(|| format!("key-{number}"));
    let id = key.as_deref().filter(|_| number.is_multiple_of(2));
    let body = make(number, id);
    book.events.push(Sent {
        key,
        body,
        fates: Vec::new(),
    });
    number
}

/// Posts at the same moment over many connections: different events of one value, or the same request.
pub(super) async fn post_volleys(shared: Arc<Shared>, book: Arc<Mutex<Book>>, connections: usize) {
    let mut dice = shared.dice(10);
    let mut senders: Vec<Sender> = (0..connections)
        .map(|place| Sender::new(shared.clone(), book.clone(), 200 + place as u64))
        .collect();
    let mut volley = 0_u64;
    while !shared.stopped() {
        volley += 1;
        let value = format!("volley-{volley}");
        let what = dice.pick(&[Use::Lock, Use::Lock, Use::Burst, Use::None]);
        let event = |has_key| {
            enter(&book, has_key, |number, id| {
                body(number, what, &value, "critical", id)
            })
        };
        let numbers = if dice.percent(40) {
            vec![event(true); connections]
        } else {
            (0..connections).map(|_| event(false)).collect()
        };
        let posting = senders.iter_mut().zip(numbers);
        join_all(posting.map(|(sender, number)| sender.post_again(number))).await;
        let pause = dice.millis(VOLLEYS.0, VOLLEYS.1);
        tokio::time::sleep(pause).await;
    }
}

/// What an answer means.
fn read(answer: Option<Answer>) -> Fate {
    let Some(Answer {
        status,
        replayed,
        body,
    }) = answer
    else {
        return Fate::Unknown;
    };
    match (status, body["type"].as_str()) {
        (200, _) => receipt(&body, replayed)
            .map_or_else(|| Fate::Wrong(format!("200 with {body}")), Fate::Answered),
        (503, Some("/problems/outcome-unknown")) => Fate::Unknown,
        (
            503,
            Some("/problems/database-unavailable" | "/problems/overloaded" | "/problems/stopping"),
        ) => Fate::NotRecorded,
        _ => Fate::Wrong(format!("{status} with {body}")),
    }
}

fn receipt(body: &Value, replayed: bool) -> Option<Receipt> {
    let execution = match &body["execution_id"] {
        Value::Null => None,
        id => Some(id.as_str()?.parse().ok()?),
    };
    Some(Receipt {
        event: body["event_id"].as_str()?.parse().ok()?,
        decision: body["decision"].as_str()?.to_owned(),
        execution,
        replayed,
    })
}
