//! The only place that reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::units::UnixSeconds;

/// The wall clock, in whole seconds: what a signature is dated with.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is net/clock.rs")]
pub fn unix_now() -> UnixSeconds {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UnixSeconds(since.as_secs())
}

/// A clock that never goes back: what waits are measured with.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is net/clock.rs")]
pub fn now() -> Instant {
    Instant::now()
}
