//! An answer head. Seeds: `tests/vectors/http1/answers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::wire::http1::properties::fuzz_answer_head(data));
