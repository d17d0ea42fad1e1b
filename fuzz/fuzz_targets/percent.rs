//! Percent-encoding. Seeds: `tests/vectors/percent`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::wire::percent::fuzz_percent(data));
