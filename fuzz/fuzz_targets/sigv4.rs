//! A request, signed by us and by `aws-sigv4`. Seeds: `tests/vectors/sigv4/requests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::wire::sigv4::properties::fuzz_sigv4(data));
