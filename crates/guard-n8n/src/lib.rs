#![doc = include_str!("../README.md")]

mod answer;
mod client;
mod probe;
mod wire;

pub use client::{ClientError, N8nClient, N8nSettings};
