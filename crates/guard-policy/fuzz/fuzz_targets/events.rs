//! The bytes of an event: the engine finds what the plain evaluation finds, or both refuse them.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::event_bytes(data));
