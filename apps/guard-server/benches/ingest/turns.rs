//! The closed loop of the floor, of the server and of other builds of it, in short turns: a machine that is never the same for long
//! is the same for all of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::floor::DIRECT;
use super::load::Load;
use super::stand_in::StandIn;
use super::subject::{GUARD, Subject};
use super::{CONNECTIONS, NO_WAIT, Place, Plan, TRIGGERS_EVERY, name};

/// How long one turn of each takes.
const TURN: Duration = Duration::from_secs(2);

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

impl Plan {
    /// Prints of each the medians of its turns, and of their ratios to the floor's.
    pub(crate) async fn take_turns(&self, postgres: bool, others: &[PathBuf]) {
        let n8n = StandIn::start().await;
        let place = Place::make(postgres).await;
        let floor = Subject::floor(&place.url);
        let mut contenders = vec![Contender::new("floor".to_owned(), floor, place)];
        if !postgres {
            let place = Place::make(postgres).await;
            let path = place.url.strip_prefix("sqlite://").expect("a file");
            let floor = Subject::floor(&format!("{DIRECT}{path}"));
            contenders.push(Contender::new(
                "floor, written as the server writes".to_owned(),
                floor,
                place,
            ));
        }
        let own = std::iter::once(("guard".to_owned(), Path::new(GUARD)));
        let others = others
            .iter()
            .map(|path| (path.display().to_string(), path.as_path()));
        for (name, binary) in own.chain(others) {
            let place = Place::make(postgres).await;
            let subject = Subject::guard_of(binary, &place.url, n8n.address(), &NO_WAIT);
            contenders.push(Contender::new(name, subject, place));
        }
        // The first turn of each counts for nothing.
        for _ in 0..=self.turns {
            for contender in &mut contenders {
                contender.turn().await;
            }
        }
        let floor: Vec<f64> = contenders[0].turns.iter().map(|(rate, _)| *rate).collect();
        for contender in &contenders {
            let turns = &contender.turns[1..];
            let ratios = turns
                .iter()
                .zip(&floor[1..])
                .map(|((rate, _), floor)| rate / floor);
            println!(
                "| {} on {} | closed loop, {} turns | {:.0} | of the floor {:.2} | server {:.1} µs/event | | | | {:.0} |",
                contender.name,
                name(postgres),
                self.turns,
                median(turns.iter().map(|(rate, _)| *rate)),
                median(ratios),
                median(turns.iter().map(|(_, used)| *used)),
                contender.subject.memory()
            );
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}
