//! Frames whose preludes hold. Seeds: `tests/vectors/eventstream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::wire::eventstream::properties::fuzz_preludes(
    data
));
