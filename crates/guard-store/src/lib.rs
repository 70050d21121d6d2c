#![doc = include_str!("../README.md")]

mod chain;
mod error;
mod row;
mod sqlite;

pub use chain::{CanonicalRecord, GENESIS, link_hash};
pub use error::{LockError, OpenError};
pub use sqlite::{SqliteStore, StoreLock, StoreSettings};
