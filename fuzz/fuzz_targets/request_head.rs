//! A request head. Seeds: `tests/vectors/http1/requests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::wire::http1::properties::fuzz_request_head(
    data
));
