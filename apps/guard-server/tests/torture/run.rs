//! A run: rounds of load and violence, then calm, then the checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use guard_store::PlantedFault;
use tokio::time::sleep;

use super::balancer::Balancer;
use super::checks::{self, Evidence, Violation};
use super::fleet::Fleet;
use super::load::{Fate, Load};
use super::options::Options;
use super::place::Place;
use super::plan::{Act, Plan};
use super::stand_in::StandIn;
use super::summary::Summary;

/// How long everything may take to be over once nobody disturbs it: a deadline, a lease, and the time to confirm.
const CALM: Duration = Duration::from_secs(100);

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) violations: Vec<Violation>,
    pub(crate) summary: Summary,
}

/// Microseconds since the epoch, by this machine's clock.
pub(crate) fn micros_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_micros() as i64
}

/// Runs once, and checks everything.
///
/// # Errors
/// What kept the run from being done at all.
pub(crate) async fn run(options: &Options, seed: u64) -> Result<Outcome, String> {
    println!("{}, seed {seed}", options.describe());
    let (begun, begun_at) = (Instant::now(), micros_now());
    let place = Arc::new(Place::make(options.database)?);
    let balancer = Arc::new(Balancer::start(options.instances).await);
    let n8n = Arc::new(StandIn::start(seed).await);
    let fault = options.fault.map(PlantedFault::as_str);
    let mut fleet = Fleet::new(
        options.instances,
        place.clone(),
        balancer.clone(),
        n8n.clone(),
        fault,
    )?;
    let done = fleet.done.clone();
    fleet.start_all().await?;
    let connections = 4 + 2 * options.instances;
    let mut load = Load::start(balancer.address(), seed, connections);
    for round in 1..=options.rounds {
        load.begin_round(round);
        let before = tally(&load);
        let plan = Plan::draw(seed, round, options);
        carry_out(&plan, &mut fleet).await?;
        print_round(round, options.rounds, &plan, before, tally(&load));
    }
    n8n.calm_down();
    fleet.settle().await?;
    load.stop().await;
    let open = wait_for_the_end(&place).await?;
    fleet.stop_all().await?;
    let record = place.reader().await?.read().await?;
    let book = std::mem::take(&mut *load.book());
    let evidence = Evidence {
        book: &book,
        seen: &n8n.seen(),
        record: &record,
        from: begun_at,
        until: micros_now(),
    };
    let violations = checks::all(&evidence);
    let summary = Summary::of(options, seed, begun.elapsed(), &evidence, &done, open);
    drop(fleet);
    if !violations.is_empty() && options.fault.is_none() {
        let place = Arc::try_unwrap(place).ok();
        if let Some(place) = place {
            println!(
                "the database and the logs are kept in {}",
                place.keep().display()
            );
        }
    }
    Ok(Outcome {
        violations,
        summary,
    })
}

async fn carry_out(plan: &Plan, fleet: &mut Fleet) -> Result<(), String> {
    let begun = Instant::now();
    for (at, act) in &plan.acts {
        sleep(at.saturating_sub(begun.elapsed())).await;
        fleet.act(*act)?;
    }
    sleep(plan.length.saturating_sub(begun.elapsed())).await;
    fleet.trouble()
}

/// Waits until no execution is open, or for as long as it may take; gives how many are.
async fn wait_for_the_end(place: &Place) -> Result<usize, String> {
    let begun = Instant::now();
    let mut reader = place.reader().await?;
    loop {
        let open = reader.open_executions().await?.len();
        if open == 0 || begun.elapsed() > CALM {
            return Ok(open);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// How many requests were answered, refused, and lost without an answer.
fn tally(load: &Load) -> [usize; 3] {
    let book = load.book();
    let mut tally = [0; 3];
    for fate in book.events.iter().flat_map(|event| &event.fates) {
        match fate {
            Fate::Answered(_) => tally[0] += 1,
            Fate::NotRecorded => tally[1] += 1,
            Fate::Unknown | Fate::Wrong(_) => tally[2] += 1,
        }
    }
    tally
}

fn print_round(round: u64, rounds: u64, plan: &Plan, before: [usize; 3], after: [usize; 3]) {
    let acts: Vec<String> = plan
        .acts
        .iter()
        .map(|(at, act)| format!("{} {} ms", name(*act), at.as_millis()))
        .collect();
    println!(
        "round {round}/{rounds}: {} answered, {} refused, {} unknown; {}",
        after[0] - before[0],
        after[1] - before[1],
        after[2] - before[2],
        acts.join(", "),
    );
}

fn name(act: Act) -> String {
    match act {
        Act::Kill { instance, .. } => format!("kill guard-{instance} at"),
        Act::Stop { instance, .. } => format!("stop guard-{instance} at"),
        Act::BreakDatabase { .. } => "break PostgreSQL at".to_owned(),
        Act::Freeze { instance } => format!("freeze guard-{instance} at"),
        Act::Jump { offset } => format!("clock {offset} at"),
    }
}

/// A counter's value.
pub(crate) fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
