//! The only doors between the planes: a snapshot goes down.

pub mod snapshot;
