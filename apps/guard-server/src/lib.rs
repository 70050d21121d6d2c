//! The Neural Guard server: reads the configuration, builds the adapters, starts and stops.
//!
//! Everything it decides is decided in the library crates; the binary is `main.rs`, and what tests and the demo share with
//! it is here.

pub mod cli;
pub mod config;
pub mod demo;
pub mod logging;
pub mod rule_source;
pub mod run;
pub mod system;
pub mod wiring;

mod audit;
mod certificate;
mod commands;
mod contacts;
mod key_commands;

/// The examples of the project's README are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
