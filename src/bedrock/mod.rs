//! What the bytes mean at AWS.

pub mod exception;
pub mod failure;
pub mod fault;
pub mod model;
pub mod operation;
pub mod price;
pub mod usage;
