#![doc = include_str!("../README.md")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "tests stop where something is not as expected; the names of the cases say what they are"
)]

pub mod contract;

mod build;
mod clock;
pub mod pgbouncer;
mod playbooks;
mod postgres;
pub mod postgres_server;
pub mod rate_limits;
pub mod redis_server;

pub use build::{event_body, intake_key, principal, publish_rules, tenant};
pub use clock::{FakeClock, SeededRandom};
pub use playbooks::ScriptedPlaybooks;
pub use postgres::TestDatabase;
