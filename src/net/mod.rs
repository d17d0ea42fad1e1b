//! Sockets, TLS and the clock, for both planes; no policy.
