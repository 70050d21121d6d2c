//! What authentication, rate limits and the audit chain cost: the closed loop with them and without, in turn.

use super::stand_in::StandIn;
use super::subject::Subject;
use super::{NO_WAIT, Place, Plan, name};

/// How often each of the two is measured; the machine is never the same for long.
const TURNS: usize = 8;

/// Nobody is limited, and what only a build with planted faults does: nobody is asked who they are, and there is no chain.
const WITHOUT: [(&str, &str); 3] = [
    NO_WAIT[0],
    ("NEURAL_GUARD__RATE_LIMIT__REQUESTS", "0"),
    ("NEURAL_GUARD_PLANTED_FAULT", "unguarded"),
];

impl Plan {
    /// The median of the ratios of neighbours: each run with the guards to the one before it without.
    pub(crate) async fn compare_guards(&self, postgres: bool) {
        if !cfg!(feature = "planted-faults") {
            panic!(
                "this takes `--features planted-faults`: run `cargo xtask bench ingest --guards`"
            );
        }
        let n8n = StandIn::start().await;
        let mut ratios = Vec::new();
        for turn in 1..=TURNS {
            let mut rates = Vec::new();
            for (environment, what) in [(&WITHOUT[..], "without"), (&NO_WAIT[..], "with")] {
                let place = Place::make(postgres).await;
                let subject = Subject::guard(&place.url, n8n.address(), environment);
                let title = format!("{} {what} guards, {turn}", name(postgres));
                rates.push(self.closed_loop(&title, &subject).await);
            }
            ratios.push(rates[1] / rates[0]);
        }
        ratios.sort_by(f64::total_cmp);
        println!(
            "| {} | with the guards, of without | {:.2} ({:.2} to {:.2}) | | | | | | |",
            name(postgres),
            f64::midpoint(ratios[TURNS / 2 - 1], ratios[TURNS / 2]),
            ratios[0],
            ratios[TURNS - 1]
        );
    }
}
