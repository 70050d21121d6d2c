#![doc = include_str!("../README.md")]

mod answer;
mod client;
mod probe;
mod signature;
mod wire;

pub use client::{ClientError, N8nClient, N8nSettings};
