//! Frames that hold, of any content. Seeds: `tests/vectors/eventstream/whole`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::wire::eventstream::properties::fuzz_frames(
    data
));
