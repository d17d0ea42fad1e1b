//! Sockets, TLS and the clock, for both planes; no policy.
//!
//! Nothing outside this folder names monoio: a fork of it, or another runtime, is a local change.

pub mod clock;
pub mod cores;
pub mod descriptors;
pub mod inherited;
pub mod line;
pub mod runtime;
pub mod signals;
pub mod tcp;
pub mod tls;
pub mod tls_server;
