//! The headers of a frame, after a byte for its payload's length. Seeds: `tests/vectors/eventstream/headers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::wire::eventstream::properties::fuzz_headers(
    data
));
