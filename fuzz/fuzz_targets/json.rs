//! A document for the scanner, against serde_json. Seeds: `tests/vectors/usage`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::wire::json::properties::fuzz_json(data));
