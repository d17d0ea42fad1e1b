//! What must hold for any bytes that somebody left in a ledger file.
//!
//! One body for the fuzz target and for the tests.
