//! What the control plane tells all cores, beside the snapshot: when to stop, and how.
//!
//! Atomics, each right by itself; a core looks at its every tick.

use std::sync::atomic::{AtomicBool, AtomicU64};

/// See the file's comment.
#[derive(Debug, Default)]
pub struct Orders {
    /// Set to stop: no new connection, no new request, what is in flight may finish.
    pub is_draining: AtomicBool,
    /// Set to stop at once.
    pub must_end: AtomicBool,
    /// Set with `is_draining`: connections that wait to be accepted are somebody else's, who has the sockets, too.
    pub leaves_queue: AtomicBool,
    /// How long idle connections wait for one request more, which is told that it is the last.
    pub idle_ms: AtomicU64,
    /// How long requests in flight may take once the drain has begun.
    pub grace_ms: AtomicU64,
}
