//! Any bytes as event-stream frames. Seeds: `tests/vectors/eventstream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::wire::eventstream::properties::fuzz_raw(data));
