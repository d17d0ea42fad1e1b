//! What the cores tell the control plane of each request: entries in a file in memory, per core.
//!
//! ```text
//!   core ── Writer ──▶ in-flight table  (a request while it is under way)
//!                 └──▶ ring             (a request that has ended) ──▶ Reader ── control plane
//! ```
//!
//! Nothing here waits, locks or allocates per request, and the file is right after `kill -9` at any
//! instant: the kernel keeps the pages of a dead process. After a power failure it holds what was forced
//! to disk; what is torn is told by its checksum. So what such a failure may take is what came since the
//! last [`Syncer::sync`].
//!
//! A file belongs to one process, through a lock that ends with it. The next process makes files of its own
//! and reads the old ones to their end: at its start ([`open`]), and while it lives ([`left`]).

pub mod entry;
mod failed;
mod field;
mod folder;
mod mapping;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod reader;
mod recover;
#[cfg(test)]
mod tests;
mod usage;
mod writer;

pub use folder::{Damaged, Left, Opened, is_ours, left, open};
pub use mapping::Shape;
pub use reader::{Reader, Syncer, set_aside};
pub use writer::{Ticket, Writer};
