//! What the cores tell the control plane of each request: entries in a file in memory, per core.

pub mod entry;
mod field;
#[cfg(test)]
mod tests;
mod usage;
