//! A ledger file that somebody left.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::boundary::ledger::properties::fuzz_ledger_file(
    data
));
