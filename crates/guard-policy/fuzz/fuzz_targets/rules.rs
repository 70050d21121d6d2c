//! The text of a rule file: reading it never panics, and what is read can be compiled, written and read again.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::rule_text(data));
