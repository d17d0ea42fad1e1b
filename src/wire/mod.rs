//! Sans-IO protocol cores: bytes in, facts out.
//!
//! Nothing here waits, reads a clock, or allocates once the caller's scratch buffers have grown.

pub mod eventstream;
pub mod http1;
pub mod json;
pub mod percent;
pub mod sigv4;
