//! `application/vnd.amazon.eventstream`, without I/O: the framing of Bedrock's streamed answers.
//!
//! ```text
//! ┌ prelude, 12 B ──────────────────────────────┐
//! │ u32 frame │ u32 headers │ u32 CRC of both   │ headers │ payload │ u32 CRC of all before it │
//! └─────────────────────────────────────────────┘
//! bytes, however cut ─► cut (where frames end) ─► frame (one, verified) ─► header (what it says)
//! ```
//!
//! The relay forwards bytes on arrival, so this layer only looks at them: it neither holds, copies nor
//! changes content. One frame is made here: the exception that ends a stream which broke off (emit). Invariants: no length is trusted before the prelude's checksum is; no frame counts
//! as whole before its own checksum is; how the network cut the stream changes nothing.
//!
//! Numbers are big-endian, checksums CRC-32 as in zlib. A stream has no terminator: it may end wherever
//! no frame is under way. Source: the "Amazon Event Stream Specification" of Smithy; AWS's own encoder
//! (`aws-smithy-eventstream`) decides in tests.

pub mod cut;
pub mod emit;
pub mod frame;
pub mod header;
#[cfg(any(test, all(fuzzing, feature = "stand-in")))]
mod oracle;
mod prelude;
#[cfg(any(test, all(fuzzing, feature = "stand-in")))]
#[doc(hidden)]
pub mod properties;
#[cfg(any(test, all(fuzzing, feature = "stand-in")))]
mod specimen;
#[cfg(test)]
mod tests;
