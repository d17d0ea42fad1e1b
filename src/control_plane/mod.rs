//! The one thread that may wait: configuration, names, signals, words for the operator.

pub mod access_log;
pub mod admin;
pub mod bind;
pub mod bookkeeper;
pub mod books;
pub mod bulletin;
pub mod certificates;
pub mod config;
pub mod control;
pub mod credentials;
pub mod groups;
pub mod metrics;
pub mod names;
pub mod passthrough;
pub mod prepare;
pub mod prices_command;
pub mod reload;
pub mod resolver;
pub mod running;
pub mod spend;
pub mod spend_command;
pub mod store;
pub mod successor;
pub mod supervisor;
pub mod systemd;
pub mod wildcards;
