//! The HTTP interface on PostgreSQL: the same tests as on SQLite, through the production wiring: only the configuration, the clock and the playbook runner change.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "postgres.rs"]
mod database;

mod audit;
mod audit_export;
mod batch;
mod callbacks;
mod control;
mod delivery;
mod errors;
mod events;
mod executions;
mod harness;
mod headers;
mod health;
mod idempotency;
mod jwt;
mod keys;
mod limits;
mod notifications;
mod playbooks;
#[path = "../process/receiver.rs"]
mod receiver;
mod rules;
mod tenants;
mod tenants_apart;
