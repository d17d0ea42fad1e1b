//! The stand-in's only reading of the clock: to judge skew, and to date answers not written by hyper.

use std::time::SystemTime;

/// Wall-clock time.
#[expect(
    clippy::disallowed_methods,
    reason = "the stand-in is another machine: its clock is not the proxy's"
)]
pub fn now() -> SystemTime {
    SystemTime::now()
}
