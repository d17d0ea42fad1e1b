//! Events, one per line, after a byte that chooses the family. Seeds: `tests/vectors/usage`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::bedrock::usage::properties::fuzz_stream(data));
