//! The binary as an operator meets it: started, killed, stopped, misconfigured.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod command_line;
mod crash;
mod database_away;
mod instances;
mod keys;
mod n8n;
mod pooler;
mod rolling;
mod server;
mod serving;
