//! The server as an attacker meets it: the binary, over a network, with what no honest client sends.
//!
//! After each attack the server has to be there, and to answer an honest client as before.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod bodies;
mod framing;
mod keys;
mod place;
mod raw;
#[path = "../process/server.rs"]
#[allow(
    dead_code,
    reason = "it belongs to the tests of the process, which use all of it"
)]
mod server;
mod slow;
