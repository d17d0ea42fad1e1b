//! The only place that reads a clock.

#![expect(unsafe_code, reason = "the monotonic clock as a number has no safe form")]

use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

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

/// The clock that never goes back as other processes read it (`CLOCK_MONOTONIC`), in microseconds.
#[must_use]
pub fn monotonic_micros() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec, to a valid place; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let part = |part: i64| u64::try_from(part).unwrap_or(0);
    part(time.tv_sec) * 1_000_000 + part(time.tv_nsec) / 1000
}

/// Milliseconds that never go back, from some moment before the first call: what cores that share a number
/// agree on.
#[must_use]
pub fn now_ms() -> u64 {
    millis(now())
}

/// `moment` on the scale of [`now_ms`].
#[must_use]
pub fn millis(moment: Instant) -> u64 {
    // Begun a while ago, so that a moment shortly before the first call is not before the beginning.
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    let beginning = BEGINNING.get_or_init(|| {
        let now = now();
        now.checked_sub(Duration::from_secs(60)).unwrap_or(now)
    });
    let since = moment.saturating_duration_since(*beginning);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
