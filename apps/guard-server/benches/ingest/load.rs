//! Load over keep-alive connections.
//!
//! The closed loop sends the next event of a connection when the last one is answered. The open loop has a moment for each
//! event, and measures from that moment, however late the event could be sent: what waits for a slow answer is counted too
//! (Tene, "How NOT to Measure Latency", 2013).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::stand_in::micros_now;
use super::subject::API_KEY;

/// Connections of an open loop.
pub(crate) const OPEN_CONNECTIONS: u32 = 256;

/// Events for a server.
#[derive(Clone)]
pub(crate) struct Load {
    address: SocketAddr,
    triggers_every: u64,
    sent: Arc<AtomicU64>,
}

/// How often something else than 200 was answered, and whether the answer said when to try again; status 0 is a connection that
/// broke.
pub(crate) type Refused = BTreeMap<(u16, bool), usize>;

/// What came of a load.
pub(crate) struct Outcome {
    /// In ascending order.
    latencies: Vec<Duration>,
    pub(crate) refused: Refused,
    pub(crate) elapsed: Duration,
}

impl Outcome {
    pub(crate) fn of(mut latencies: Vec<Duration>, refused: Refused, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        Self {
            latencies,
            refused,
            elapsed,
        }
    }

    pub(crate) const fn count(&self) -> usize {
        self.latencies.len()
    }

    pub(crate) fn errors(&self) -> usize {
        self.refused.values().sum()
    }

    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The median, the 99th and the 99.9th percentile in milliseconds.
    pub(crate) fn percentiles(&self) -> [f64; 3] {
        [0.5, 0.99, 0.999].map(|share| {
            let place = (self.latencies.len() as f64 * share) as usize;
            let found = self
                .latencies
                .get(place.min(self.latencies.len().saturating_sub(1)));
            found.map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
        })
    }
}

impl Load {
    pub(crate) fn new(address: SocketAddr, triggers_every: u64) -> Self {
        Self {
            address,
            triggers_every,
            sent: Arc::default(),
        }
    }

    /// As many events as the server answers.
    pub(crate) async fn closed(&self, connections: usize, length: Duration) -> Outcome {
        let begun = Instant::now();
        let end = begun + length;
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let load = self.clone();
            tasks.spawn(async move {
                let mut connection = Connection::open(load.address).await;
                let (mut latencies, mut refused) = (Vec::new(), Refused::new());
                while Instant::now() < end {
                    let sent = Instant::now();
                    match connection.post(&load.event()).await {
                        (200, _) => latencies.push(sent.elapsed()),
                        other => *refused.entry(other).or_default() += 1,
                    }
                }
                (latencies, refused)
            });
        }
        Self::gather(tasks, begun).await
    }

    /// So many events a second over so many connections, whether or not the server keeps up.
    pub(crate) async fn open(&self, rate: u32, connections: u32, length: Duration) -> Outcome {
        let begun = Instant::now() + Duration::from_millis(100);
        let mut tasks = JoinSet::new();
        let each = Duration::from_secs(1) * connections / rate;
        for place in 0..connections {
            let load = self.clone();
            let mut due = begun + each * place / connections;
            tasks.spawn(async move {
                let mut connection = Connection::open(load.address).await;
                let (mut latencies, mut refused) = (Vec::new(), Refused::new());
                while due < begun + length {
                    // A timer that wakes late is the generator's doing; a connection that is not free in time is the
                    // server's.
                    let from = if Instant::now() < due {
                        sleep_until(due).await;
                        Instant::now()
                    } else {
                        due
                    };
                    match connection.post(&load.event()).await {
                        (200, _) => latencies.push(from.elapsed()),
                        other => *refused.entry(other).or_default() += 1,
                    }
                    due += each;
                }
                (latencies, refused)
            });
        }
        Self::gather(tasks, begun).await
    }

    async fn gather(tasks: JoinSet<(Vec<Duration>, Refused)>, begun: Instant) -> Outcome {
        let done = tasks.join_all().await;
        let elapsed = begun.elapsed();
        let (mut latencies, mut refused) = (Vec::new(), Refused::new());
        for (more, others) in done {
            latencies.extend(more);
            for (answer, count) in others {
                *refused.entry(answer).or_default() += count;
            }
        }
        Outcome::of(latencies, refused, elapsed)
    }

    /// An event of 430 bytes or so, of now.
    fn event(&self) -> String {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let trigger = number.is_multiple_of(self.triggers_every);
        let sent = micros_now();
        let moment = chrono::DateTime::from_timestamp_micros(sent as i64).expect("a moment");
        format!(
            r#"{{"event_type":"anomaly_detected","severity":"medium","source":"sentinel-{}","timestamp":"{}","context":{{"sent":{sent},"number":{number},"trigger":{trigger},"service":"service-{}","error_rate":{}.5,"host":"node-{}.example.net","message":"the error rate of the service is above its baseline for five minutes","baseline":0.4,"region":"eu-central-1","labels":["production","payments"],"window_seconds":300}}}}"#,
            number % 7,
            moment.format("%Y-%m-%dT%H:%M:%S%.6f"),
            number % 2000,
            number % 100,
            number % 50,
        )
    }
}

struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self {
            address,
            stream,
            buffer: Vec::with_capacity(4096),
        }
    }

    /// Posts an event; gives the status, and whether the answer says when to try again. A connection that broke is made anew.
    async fn post(&mut self, event: &str) -> (u16, bool) {
        match self.exchange(event).await {
            Some(answer) => answer,
            None => {
                *self = Self::open(self.address).await;
                (0, false)
            }
        }
    }

    async fn exchange(&mut self, event: &str) -> Option<(u16, bool)> {
        let request = format!(
            "POST /events HTTP/1.1\r\nhost: guard\r\nauthorization: Bearer {API_KEY}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{event}",
            event.len()
        );
        self.stream.write_all(request.as_bytes()).await.ok()?;
        self.buffer.clear();
        loop {
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(1..) => {}
                _ => return None,
            }
            let answer = answer(&self.buffer);
            if answer.is_some() {
                return answer;
            }
        }
    }
}

/// The status of a whole answer, and whether it says when to try again; nothing as long as it is not whole. What it costs to look is not the server's.
fn answer(buffer: &[u8]) -> Option<(u16, bool)> {
    const LENGTH: &str = "\r\ncontent-length: ";
    let text = std::str::from_utf8(buffer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.split_once(LENGTH).map_or("0", |(_, rest)| rest);
    let length: usize = length.split('\r').next()?.parse().ok()?;
    if body.len() < length {
        return None;
    }
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some((status, status != 200 && head.contains("\r\nretry-after: ")))
}
