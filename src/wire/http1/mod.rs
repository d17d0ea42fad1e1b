//! HTTP/1.1 messages (RFC 9112), without I/O.
//!
//! ```text
//! bytes ─► head ─► framing ─► content (chunked) ─► done        emit ─► bytes
//!           │         │           │
//!           └─ phase: what one side may do next ─┘
//! ```
//!
//! A proxy and its peers must agree where a message ends, or one client reads another's answer. So
//! every ambiguity is refused rather than resolved: whatever two readers could read differently is
//! an error here. Invariant: how the network cut the bytes changes nothing.

pub mod chunked;
pub mod content;
pub mod emit;
pub mod framing;
pub mod head;
#[cfg(any(test, fuzzing))]
mod oracle;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod properties;
mod strict;
