//! What a store must be, to be kept books for.

use std::{fmt, future::Future};

use crate::boundary::ledger::entry::Entry;

/// Whether a store may have been given an entry before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Before {
    /// Certainly not: a core of this process has written it, and this is the first time.
    Never,
    /// It may: an attempt failed, or a process left it, and nobody knows how far it came.
    Perhaps,
}

/// Where entries end up.
pub trait Sink {
    /// All of `entries` are on disk when this is `Ok`; after an error any of them may be. An entry whose
    /// request id is known already changes nothing. May take long, or hang: it is dropped after
    /// [`STORE_MS_MAX`](crate::limits::STORE_MS_MAX).
    fn record(
        &self,
        entries: &[&Entry],
        before: Before,
    ) -> impl Future<Output = Result<(), SinkError>>;
}

/// Why the store took nothing. It is tried again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SinkError {
    /// For the operator; no secret.
    pub what: String,
}

impl fmt::Display for SinkError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.what)
    }
}
