//! The only doors between the planes: a snapshot and orders go down; the ledger, notices and errands come up.

pub mod counters;
pub mod credential;
pub mod errand;
pub mod ledger;
pub mod notice;
pub mod orders;
pub mod snapshot;
