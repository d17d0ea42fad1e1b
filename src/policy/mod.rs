//! Decisions as pure functions of (table, request, now).

pub mod auth;
pub mod balance;
pub mod route;
