//! Events per second and latencies of the whole server, beside a floor: `cargo xtask bench ingest`.
//!
//! The server is the release binary in a process of its own, with 1,000 rules and authentication; the load and the stand-in
//! for n8n are in this process. The *floor* is a bare axum handler that reads the same event and inserts it into one table,
//! with the same group commit and no policy, in a process of its own too. Everything shares the machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

mod filled;
mod flood;
mod floor;
mod guards;
mod load;
mod rules;
mod stand_in;
mod subject;
mod turns;

use std::path::PathBuf;
use std::time::Duration;

use guard_testkit::TestDatabase;
use load::{Load, OPEN_CONNECTIONS, Outcome};
use stand_in::StandIn;
use subject::Subject;

/// Keep-alive connections of the closed loop.
const CONNECTIONS: usize = 64;
/// Of so many events one triggers a playbook: 0.2 %.
const TRIGGERS_EVERY: u64 = 500;

/// Nobody waits for n8n.
const NO_WAIT: [(&str, &str); 1] = [("NEURAL_GUARD__EXECUTOR__ACK_WAIT", "0")];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(place) = arguments.iter().position(|argument| argument == "--floor") {
        return floor::serve(&arguments[place + 1]);
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        // A test runner looks for tests; there are none.
        return;
    }
    let seconds = |name, default| {
        let text = std::env::var(name).ok();
        Duration::from_secs(text.and_then(|text| text.parse().ok()).unwrap_or(default))
    };
    let number = |name| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let plan = Plan {
        closed: seconds("GUARD_BENCH_CLOSED_SECONDS", 10),
        open: seconds("GUARD_BENCH_OPEN_SECONDS", 20),
        filled: number("GUARD_BENCH_FILLED"),
        flood: seconds("GUARD_BENCH_FLOOD", 0),
        guards: std::env::var("GUARD_BENCH_GUARDS").is_ok_and(|text| text == "1"),
        turns: number("GUARD_BENCH_TURNS"),
        // Of an empty text one path is made, which is empty too.
        against: std::env::var_os("GUARD_BENCH_AGAINST")
            .filter(|paths| !paths.is_empty())
            .map_or_else(Vec::new, |paths| std::env::split_paths(&paths).collect()),
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(plan.run());
}

struct Plan {
    closed: Duration,
    open: Duration,
    /// How many events there are already when a database that has been in use is measured; 0 for not at all.
    filled: u64,
    /// How long a flood lasts, where the server is held under one; zero for not at all.
    flood: Duration,
    /// Whether authentication, limits and the audit chain are measured against none of them.
    guards: bool,
    /// How many short turns those that are compared take; 0 for the whole programme, or for as many as a comparison takes by itself.
    turns: u64,
    /// Other builds of the server that take turns with it.
    against: Vec<PathBuf>,
}

impl Plan {
    async fn run(&self) {
        println!(
            "| subject | load | events/s | p50, ms | p99, ms | p99.9, ms | errors | CPU, cores | memory, MB |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
        let only = std::env::var("GUARD_BENCH_DATABASE").unwrap_or_default();
        let mut broken = Vec::new();
        for postgres in [false, true] {
            if !only.is_empty() && !name(postgres).eq_ignore_ascii_case(&only) {
                continue;
            }
            if !self.flood.is_zero() {
                broken.extend(self.stand_a_flood(postgres).await);
                continue;
            }
            if self.guards {
                self.compare_guards(postgres).await;
                continue;
            }
            if self.filled > 0 {
                self.compare_filled(postgres).await;
                continue;
            }
            if self.turns > 0 {
                self.compare_builds(postgres).await;
                continue;
            }
            let floor = self.closed_floor(postgres).await;
            let guard = self.guard(postgres).await;
            println!(
                "| {} | of the floor | {:.2} | | | | | | |",
                name(postgres),
                guard / floor
            );
        }
        assert!(broken.is_empty(), "{}", broken.join("; "));
    }

    async fn closed_floor(&self, postgres: bool) -> f64 {
        let place = Place::make(postgres).await;
        let subject = Subject::floor(&place.url);
        let name = format!("floor on {}", name(postgres));
        self.closed_loop(&name, &subject).await
    }

    /// Every load on the server; gives the events per second of the closed loop.
    async fn guard(&self, postgres: bool) -> f64 {
        let database = name(postgres);
        let place = Place::make(postgres).await;
        let n8n = StandIn::start().await;
        let subject = Subject::guard(&place.url, n8n.address(), &NO_WAIT);
        subject.print_idle(database).await;
        let throughput = self
            .closed_loop(&format!("guard on {database}"), &subject)
            .await;
        self.open_loop(database, &subject, 10_000, TRIGGERS_EVERY)
            .await;
        n8n.forget();
        // One of 20 triggers: 50 webhooks a second, of which n8n takes 8 at once, 20 ms each.
        self.open_loop(database, &subject, 1_000, TRIGGERS_EVERY / 25)
            .await;
        n8n.print(&format!("guard on {database}: event to webhook"));
        drop(subject);
        let place = Place::make(postgres).await;
        let subject = Subject::guard(&place.url, n8n.address(), &[]);
        self.open_loop(
            &format!("{database}, default ack_wait"),
            &subject,
            10_000,
            TRIGGERS_EVERY,
        )
        .await;
        throughput
    }

    async fn closed_loop(&self, name: &str, subject: &Subject) -> f64 {
        let load = Load::new(subject.address(), TRIGGERS_EVERY);
        load.closed(CONNECTIONS, Duration::from_secs(2)).await;
        let before = subject.cpu();
        let outcome = load.closed(CONNECTIONS, self.closed).await;
        print(
            name,
            "closed loop, 64 connections",
            &outcome,
            subject,
            before,
        );
        outcome.rate()
    }

    async fn open_loop(&self, database: &str, subject: &Subject, rate: u32, triggers_every: u64) {
        let load = Load::new(subject.address(), triggers_every);
        let before = subject.cpu();
        let outcome = load.open(rate, OPEN_CONNECTIONS, self.open).await;
        let loaded = format!("open loop, {rate}/s");
        print(
            &format!("guard on {database}"),
            &loaded,
            &outcome,
            subject,
            before,
        );
    }
}

const fn name(postgres: bool) -> &'static str {
    if postgres { "PostgreSQL" } else { "SQLite" }
}

fn print(name: &str, load: &str, outcome: &Outcome, subject: &Subject, before: Duration) {
    let cpu = (subject.cpu() - before).as_secs_f64() / outcome.elapsed.as_secs_f64();
    let [p50, p99, p999] = outcome.percentiles();
    println!(
        "| {name} | {load} | {:.0} | {p50:.2} | {p99:.2} | {p999:.2} | {} | {cpu:.2} | {:.0} |",
        outcome.rate(),
        outcome.errors(),
        subject.memory()
    );
}

/// A fresh database.
struct Place {
    url: String,
    postgres: Option<TestDatabase>,
    _folder: tempfile::TempDir,
}

impl Place {
    /// The address for whoever may also tell the database's server what to do.
    fn url_of_its_keeper(&self) -> String {
        let postgres = self.postgres.as_ref();
        postgres.map_or_else(|| self.url.clone(), TestDatabase::superuser_url)
    }

    async fn make(postgres: bool) -> Self {
        // Under the build's folder: a temporary folder may be in memory, where nothing waits for a disk.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let database = if postgres {
            Some(TestDatabase::create().await)
        } else {
            None
        };
        let url = match &database {
            Some(database) => database.url(),
            None => format!("sqlite://{}", folder.path().join("guard.db").display()),
        };
        Self {
            url,
            postgres: database,
            _folder: folder,
        }
    }
}
