//! The only place that reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::units::{UnixMicros, UnixSeconds};

/// The wall clock: when something happened.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is net/clock.rs")]
pub fn unix_micros() -> UnixMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UnixMicros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// The wall clock, in whole seconds: what a signature is dated with.
#[must_use]
pub fn unix_now() -> UnixSeconds {
    unix_micros().seconds()
}

/// A clock that never goes back: what waits are measured with.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is net/clock.rs")]
pub fn now() -> Instant {
    Instant::now()
}
