//! Decisions as pure functions of (table, request, now).
//!
//! ```text
//!   auth            who may ask
//!   route           which group a name means
//!   group           the table: deployments, weights, limits, rules
//!   balance         one core's decisions ── board (who may be asked) ── tournament, latency
//!                                        └─ retry (one request's attempts)
//!   lease           what a decision says, and the place that it gives
//!   standing, budget   what all cores share: cool-downs, limits; how much may be repeated
//! ```

pub mod auth;
pub mod balance;
mod board;
pub mod budget;
pub mod group;
mod latency;
pub mod lease;
pub mod retry;
pub mod route;
#[cfg(test)]
mod simulation;
pub mod standing;
mod tournament;
