//! A flood: twice as many events as the server can take, for a while. Every answer is 200, or a refusal that says when to try
//! again; memory is bounded; what was answered 200 is there; and a moment later the server is as fast as one beside it that was
//! left alone.

use std::time::Duration;

use sqlx::{Connection, PgConnection, SqliteConnection};
use tokio::time::Instant;

use super::load::{Load, Outcome};
use super::stand_in::StandIn;
use super::subject::Subject;
use super::{CONNECTIONS, NO_WAIT, Place, Plan, TRIGGERS_EVERY, name, print};

/// Connections of a flood, fewer than one address may have.
const FLOOD_CONNECTIONS: u32 = 1000;
/// Nobody is limited, so that the server itself has to cope.
const UNLIMITED: [(&str, &str); 2] = [NO_WAIT[0], ("NEURAL_GUARD__RATE_LIMIT__REQUESTS", "0")];
/// As it is without a word about it.
const LIMITED: [(&str, &str); 2] = [NO_WAIT[0], ("NEURAL_GUARD__RATE_LIMIT__REQUESTS", "1000")];
/// The most memory that may be resident, in MB.
const MEMORY: f64 = 200.0;
/// Of the speed of a server that was left alone, at least.
const RECOVERED: f64 = 0.9;
/// How long the server has for that.
const RECOVERY: Duration = Duration::from_secs(5);
/// How long each of the two is measured at a time: short, so that both meet the same machine, and who recovers late is found out.
const TURN: Duration = Duration::from_secs(1);
/// How often, in turn.
const TURNS: usize = 9;

impl Plan {
    /// Gives the promises that the server breaks.
    pub(crate) async fn stand_a_flood(&self, postgres: bool) -> Vec<String> {
        let n8n = StandIn::start().await;
        let mut broken = Vec::new();
        for (environment, what) in [(&UNLIMITED, "without limits"), (&LIMITED, "with limits")] {
            let (place, alone) = (Place::make(postgres).await, Place::make(postgres).await);
            let subject = Subject::guard(&place.url, n8n.address(), environment);
            let load = Load::new(subject.address(), TRIGGERS_EVERY);
            let title = format!("{} {what}", name(postgres));
            let beside = Subject::guard(&alone.url, n8n.address(), environment);
            let other = Load::new(beside.address(), TRIGGERS_EVERY);
            other.closed(CONNECTIONS, self.closed).await;
            let before = load.closed(CONNECTIONS, self.closed).await;
            // What limits refuse is answered faster: the flood is twice what the server answers.
            let rate = (2.0 * answered(&before)) as u32;
            let cpu = subject.cpu();
            let (flood, memory) = tokio::join!(
                load.open(rate, FLOOD_CONNECTIONS, self.flood),
                most_memory(&subject, self.flood)
            );
            let offered = format!("flood, {rate}/s, up to {memory:.0} MB");
            print(&title, &offered, &flood, &subject, cpu);
            println!("| {title} | refused: {} | | | | | | | |", refusals(&flood));
            // Both, so that the other one's buckets are as empty then as this one's.
            let (recovering, _) = tokio::join!(
                load.closed(CONNECTIONS, RECOVERY),
                other.closed(CONNECTIONS, RECOVERY)
            );
            let mut good = before.count() + flood.count() + recovering.count();
            let mut ratios = Vec::new();
            for turn in 0..TURNS {
                // Who comes first changes: a machine that gets slower or faster favours neither.
                let (after, left);
                if turn % 2 == 0 {
                    after = load.closed(CONNECTIONS, TURN).await;
                    left = other.closed(CONNECTIONS, TURN).await;
                } else {
                    left = other.closed(CONNECTIONS, TURN).await;
                    after = load.closed(CONNECTIONS, TURN).await;
                }
                good += after.count();
                ratios.push(answered(&after) / answered(&left));
            }
            let stored = stored(&place.url).await;
            println!("| {title} | {stored} events stored of {good} | | | | | | | |");
            let turns: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
            ratios.sort_by(f64::total_cmp);
            let speed = ratios[TURNS / 2];
            println!(
                "| {title} | {speed:.2} of the speed of one left alone, in turn {} | | | | | | | |",
                turns.join(", ")
            );
            let promises = [
                (
                    flood
                        .refused
                        .keys()
                        .all(|answer| matches!(answer, (429 | 503, true))),
                    "another refusal",
                ),
                (memory < MEMORY, "too much memory"),
                (
                    stored >= good as i64,
                    "an event that was answered 200 is not stored",
                ),
                (speed >= RECOVERED, "slower afterwards"),
            ];
            broken.extend(
                promises
                    .iter()
                    .filter(|(kept, _)| !kept)
                    .map(|(_, what)| format!("{title}: {what}")),
            );
        }
        broken
    }
}

/// Answers of any kind for each second.
fn answered(outcome: &Outcome) -> f64 {
    (outcome.count() + outcome.errors()) as f64 / outcome.elapsed.as_secs_f64()
}

fn refusals(outcome: &Outcome) -> String {
    let each =
        outcome
            .refused
            .iter()
            .map(|((status, says_when), count)| match (status, says_when) {
                (0, _) => format!("{count} broken connections"),
                (_, true) => format!("{count} with {status} and `Retry-After`"),
                (_, false) => format!("{count} with {status}"),
            });
    let all: Vec<_> = each.collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

/// The most memory that is resident within a time, in MB.
async fn most_memory(subject: &Subject, length: Duration) -> f64 {
    let end = Instant::now() + length;
    let mut most = 0.0_f64;
    while Instant::now() < end {
        most = most.max(subject.memory());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    most
}

/// How many events are in the database.
async fn stored(url: &str) -> i64 {
    const COUNT: &str = "SELECT count(*) FROM events";
    if url.starts_with("postgres") {
        let mut connection = PgConnection::connect(url).await.expect("a connection");
        return sqlx::query_scalar(COUNT)
            .fetch_one(&mut connection)
            .await
            .expect("a number");
    }
    let mut connection = SqliteConnection::connect(url).await.expect("a file");
    sqlx::query_scalar(COUNT)
        .fetch_one(&mut connection)
        .await
        .expect("a number")
}
