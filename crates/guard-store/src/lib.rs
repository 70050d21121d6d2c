#![doc = include_str!("../README.md")]

mod archive;
mod audit;
mod checkpoints;
mod clock;
mod controls;
mod database;
mod error;
mod escalation;
mod execution;
mod export;
mod keys;
mod leases;
mod ledger;
mod notifications;
mod outbox;
mod partitions;
mod planted_fault;
mod postgres_address;
mod receipt;
mod retention;
mod row;
mod row_security;
mod rules;
mod schema;
mod spans;
mod store;
mod tenants;

pub use clock::DatabaseClock;
pub use error::{LockError, OpenError};
pub use escalation::NotificationSettings;
pub use planted_fault::{PLANTED_FAULT, PlantedFault, planted_fault};
pub use postgres_address::PostgresAddress;
pub use store::{Store, StoreLock, StoreSettings};
