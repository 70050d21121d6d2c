//! What is done to the processes in a round: drawn before the round begins, from the seed and its number alone.

use std::time::Duration;

use super::dice::Dice;
use super::options::{Kind, Options};

/// The offsets to which a wall clock jumps.
const JUMPS: [&str; 8] = ["+0", "-90m", "+5h", "-7h", "+1d", "-3d", "+40d", "-400d"];
/// After how many rounds an instance is frozen again: it takes several until its leases end.
const FREEZE_EVERY: u64 = 7;

/// Something that is done to a process.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// `kill -9`, and a start after a while.
    Kill { instance: usize, away: Duration },
    /// An orderly stop, and a start after a while.
    Stop { instance: usize, away: Duration },
    /// An immediate shutdown of PostgreSQL, and a start after a while.
    BreakDatabase { away: Duration },
    /// An instance is stopped by the system until somebody has taken over what it was delivering.
    Freeze { instance: usize },
    /// The wall clock of the last instance jumps.
    Jump { offset: &'static str },
}

/// A round.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) length: Duration,
    /// What is done when, in order.
    pub(crate) acts: Vec<(Duration, Act)>,
}

impl Plan {
    pub(crate) fn draw(seed: u64, round: u64, options: &Options) -> Self {
        let mut dice = Dice::of(seed, 1000 + round);
        let length = dice.millis(2000, 2800);
        let instances = options.instances as u64;
        let mut acts = Vec::new();
        let most = length.as_millis() as u64;
        let kills = 1 + dice.below(1 + instances / 2);
        for _ in 0..kills {
            let (at, instance) = (dice.millis(100, most), dice.below(instances) as usize);
            let away = if instances > 1 && dice.percent(25) {
                dice.millis(500, 3000)
            } else {
                dice.millis(0, 300)
            };
            let act = if dice.percent(15) {
                Act::Stop { instance, away }
            } else {
                Act::Kill { instance, away }
            };
            acts.push((at, act));
        }
        if options.database == Kind::Postgresql && dice.percent(30) {
            let away = dice.millis(0, 400);
            acts.push((dice.millis(100, most), Act::BreakDatabase { away }));
        }
        if instances > 1 {
            let offset = dice.pick(&JUMPS);
            acts.push((dice.millis(0, most), Act::Jump { offset }));
        }
        if instances > 1 && round % FREEZE_EVERY == 1 {
            let instance = dice.below(instances) as usize;
            acts.push((dice.millis(200, 1000), Act::Freeze { instance }));
        }
        acts.sort_by_key(|(at, _)| *at);
        Self { length, acts }
    }
}
