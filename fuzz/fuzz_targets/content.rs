//! Content, after a byte that chooses its framing. Seeds: `tests/vectors/http1/content`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::wire::http1::properties::fuzz_content(data));
