//! Frames, read by us and by AWS's decoder. Seeds: `tests/vectors/eventstream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::wire::eventstream::properties::fuzz_aws(data));
