//! The value of `authorization`. Seeds: `tests/vectors/sigv4/authorization`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::wire::sigv4::properties::fuzz_access_key_id(
    data
));
