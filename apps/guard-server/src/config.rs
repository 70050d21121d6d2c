//! The configuration: one TOML file, the environment over it, and `.env` read at start.

mod channels;
mod check;
mod connections;
mod contacts;
mod jwt;
mod keys;
mod rates;
mod reader;
mod report;
mod resolve;
mod settings;
mod times;
mod tls;

pub use connections::ConnectionSettings;
pub use keys::{KEYS, Key};
pub use report::report;
pub use resolve::{Origin, Resolved, load};
pub use settings::{DatabaseUrl, Settings};
pub use tls::TlsFiles;
