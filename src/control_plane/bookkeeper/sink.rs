//! What a store must be, to be kept books for.

use std::{fmt, future::Future};

use crate::boundary::ledger::entry::Entry;

/// Where entries end up.
pub trait Sink {
    /// All of `entries` are on disk when this is `Ok`; after an error any of them may be. An entry whose
    /// request id is known already changes nothing. May take long, or hang: it is dropped after
    /// [`STORE_MS_MAX`](crate::limits::STORE_MS_MAX).
    fn record(&self, entries: &[Entry]) -> impl Future<Output = Result<(), SinkError>>;
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
