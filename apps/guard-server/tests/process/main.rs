//! The binary as an operator meets it: started, killed, stopped, misconfigured.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod audit;
mod command_line;
mod connections;
mod crash;
mod database_away;
mod instances;
mod keys;
mod limits;
mod n8n;
mod notifications;
mod pooler;
mod receiver;
mod rolling;
mod row_security;
mod secrets;
mod server;
mod serving;
mod tls;
