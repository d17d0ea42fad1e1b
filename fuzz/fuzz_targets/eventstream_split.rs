//! Frames, cut as the first eight bytes say. Seeds: `tests/vectors/eventstream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::wire::eventstream::properties::fuzz_split(data));
