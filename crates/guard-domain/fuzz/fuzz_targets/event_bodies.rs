//! The bytes of `POST /v1/events`: what is accepted obeys every bound and is kept as it was sent, what is refused is told why.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::event_body(data));
