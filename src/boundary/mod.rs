//! The only doors between the planes: a snapshot goes down, the ledger and notices come up.

pub mod counters;
pub mod ledger;
pub mod notice;
pub mod snapshot;
