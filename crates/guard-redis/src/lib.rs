#![doc = include_str!("../README.md")]

mod address;
mod connection;
mod limiter;
mod script;

pub use address::RedisAddress;
pub use limiter::RedisRateLimiter;
