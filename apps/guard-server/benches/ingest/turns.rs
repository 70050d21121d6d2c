//! The closed loop of several in short turns: a machine that is never the same for long is the same for all of them.

use std::path::Path;
use std::time::Duration;

use super::floor::DIRECT;
use super::load::Load;
use super::stand_in::StandIn;
use super::subject::{GUARD, Subject};
use super::{CONNECTIONS, NO_WAIT, Place, Plan, TRIGGERS_EVERY, filled, name};

/// How long one turn of each takes.
const TURN: Duration = Duration::from_secs(2);
/// How many turns a database in use takes beside an empty one, unless it is said.
const TURNS: u64 = 10;

/// One of those that take turns.
struct Contender {
    name: String,
    subject: Subject,
    load: Load,
    /// Of each turn: events a second, and microseconds of processor time an event.
    turns: Vec<(f64, f64)>,
    _place: Place,
}

impl Contender {
    fn new(name: String, subject: Subject, place: Place) -> Self {
        Self {
            name,
            load: Load::new(subject.address(), TRIGGERS_EVERY),
            subject,
            turns: Vec::new(),
            _place: place,
        }
    }

    async fn turn(&mut self) {
        let before = self.subject.cpu();
        let outcome = self.load.closed(CONNECTIONS, TURN).await;
        let used = (self.subject.cpu() - before).as_secs_f64();
        assert_eq!(outcome.errors(), 0, "{}: {:?}", self.name, outcome.refused);
        self.turns
            .push((outcome.rate(), used * 1e6 / outcome.count() as f64));
    }
}

/// Lets all take so many turns, and prints of each the medians of its turns, and of their ratios to those of the first, which `of` names.
async fn take_turns(contenders: &mut [Contender], turns: u64, of: &str) {
    // The first turn of each counts for nothing.
    for _ in 0..=turns {
        for contender in &mut *contenders {
            contender.turn().await;
        }
    }
    let first: Vec<f64> = contenders[0].turns.iter().map(|(rate, _)| *rate).collect();
    for contender in contenders {
        let own = &contender.turns[1..];
        let ratios = own.iter().zip(&first[1..]);
        let ratios = ratios.map(|((rate, _), first)| rate / first);
        println!(
            "| {} | closed loop, {turns} turns | {:.0} | {of} {:.2} | server {:.1} µs/event | | | | {:.0} |",
            contender.name,
            median(own.iter().map(|(rate, _)| *rate)),
            median(ratios),
            median(own.iter().map(|(_, used)| *used)),
            contender.subject.memory()
        );
    }
}

impl Plan {
    /// The closed loop of the floor, of the server, and of other builds of it.
    pub(crate) async fn compare_builds(&self, postgres: bool) {
        let n8n = StandIn::start().await;
        let place = Place::make(postgres).await;
        let floor = Subject::floor(&place.url);
        let on = name(postgres);
        let mut contenders = vec![Contender::new(format!("floor on {on}"), floor, place)];
        if !postgres {
            let place = Place::make(postgres).await;
            let path = place.url.strip_prefix("sqlite://").expect("a file");
            let floor = Subject::floor(&format!("{DIRECT}{path}"));
            let name = format!("floor on {on}, written as the server writes");
            contenders.push(Contender::new(name, floor, place));
        }
        let own = std::iter::once(("guard".to_owned(), Path::new(GUARD)));
        let others = self
            .against
            .iter()
            .map(|path| (path.display().to_string(), path.as_path()));
        for (build, binary) in own.chain(others) {
            let place = Place::make(postgres).await;
            let subject = Subject::guard_of(binary, &place.url, n8n.address(), &NO_WAIT);
            contenders.push(Contender::new(format!("{build} on {on}"), subject, place));
        }
        take_turns(&mut contenders, self.turns, "of the floor").await;
    }

    /// The closed loop on an empty database and on one that has been in use.
    pub(crate) async fn compare_filled(&self, postgres: bool) {
        let n8n = StandIn::start().await;
        let mut contenders = Vec::new();
        for filled in [0, self.filled] {
            let place = Place::make(postgres).await;
            let subject = Subject::guard(&place.url, n8n.address(), &NO_WAIT);
            if filled > 0 {
                filled::fill(&place.url_of_its_keeper(), filled).await;
            }
            let name = format!("guard on {} with {filled} events", name(postgres));
            contenders.push(Contender::new(name, subject, place));
        }
        let turns = if self.turns == 0 { TURNS } else { self.turns };
        take_turns(&mut contenders, turns, "of the empty one").await;
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}
