//! The configuration: one TOML file, the environment over it, and `.env` read at start.

mod channels;
mod check;
mod contacts;
mod jwt;
mod keys;
mod rates;
mod reader;
mod report;
mod resolve;
mod settings;
mod times;

pub use keys::{KEYS, Key};
pub use report::report;
pub use resolve::{Origin, Resolved, load};
pub use settings::{DatabaseUrl, Settings};
