//! A message, encoded by AWS and read by us. Seeds: none.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::wire::eventstream::properties::fuzz_round_trip(
    data
));
