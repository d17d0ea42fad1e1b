//! The one thread that may wait.

pub mod config;
