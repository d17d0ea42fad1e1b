//! The only doors between the planes: a snapshot goes down, notices come up.

pub mod notice;
pub mod snapshot;
