//! The one thread that may wait: configuration, names, signals, words for the operator.

pub mod admin;
pub mod bind;
pub mod bookkeeper;
pub mod bulletin;
pub mod config;
pub mod names;
pub mod prepare;
pub mod resolver;
pub mod spend;
pub mod supervisor;
