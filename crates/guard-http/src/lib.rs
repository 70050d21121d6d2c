#![doc = include_str!("../README.md")]

mod auth;
mod body;
mod context;
mod headers;
mod openapi;
mod problem;
mod rate;
mod router;
mod routes;
mod serve;
mod state;
mod tls;
mod wire;

pub use context::PeerAddress;
pub use problem::Problem;
pub use router::{Interface, interface, metrics_interface, openapi};
pub use serve::{ServeSettings, serve};
pub use state::Api;
pub use tls::{CertificateError, ServerCertificate, Tls};
