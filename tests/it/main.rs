//! Everything that is checked from outside the crate, in one binary. The table of contents.
//!
//! - [`tidy`]: the house rules that no compiler checks: layers, file lengths, who may name what.
//! - [`licences`]: what our dependencies may be, by `deny.toml`.
//! - [`clients`]: boto3 as AWS ships it, against `outcrop demo` and against a proxy of a written config.
//! - [`hostile`]: what no honest peer sends, from both sides, over raw sockets.
//! - [`running`]: not a test: the binary from start to end, for those that need it.

use std::io::Write as _;

#[cfg(feature = "stand-in")]
mod clients;
#[cfg(feature = "stand-in")]
mod hostile;
mod licences;
#[cfg(feature = "stand-in")]
mod running;
mod tidy;

/// Says that `test` cannot run here and why. Under `CI=true` that is a failure: there, nothing is missing.
fn skip(test: &str, why: &str) {
    #[expect(clippy::disallowed_methods, reason = "CI says so in the environment only")]
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!ci, "{test} cannot run, and CI=true lets nothing be skipped: {why}");
    // Not eprintln!: libtest keeps that of a passing test to itself, and a skip must be seen.
    let _ = writeln!(std::io::stderr(), "\n!!!!!!!! SKIPPED: {test}: {why}\n");
}
