//! Everything that is checked from outside the crate, in one binary. The table of contents.
//!
//! - [`tidy`]: the house rules that no compiler checks: layers, file lengths, who may name what.
//! - [`licences`]: what our dependencies may be, by `deny.toml`.
//! - [`clients`]: boto3 as AWS ships it, against `outcrop demo` and against a proxy of a written config.
//! - [`client_operations`]: the same boto3, asking for guardrails, agents, knowledge bases, lists.
//! - [`client_matrix`]: every client, every operation, every way to fail; it makes the tables of docs/clients.md.
//! - [`client_signatures`]: clients that sign with a credential of ours, boto3 among them; and who signs wrong.
//! - [`client_tls`]: clients through TLS, and with certificates of their own.
//! - Requests from client to upstream and answers back, each test under io_uring and under epoll:
//!   - [`content`]: the same bytes out as in, of every size, in every framing.
//!   - [`arrival`]: bytes pass on arrival; a client that reads slowly or leaves.
//!   - [`signing`]: what AWS checks: signatures, bearer tokens, targets.
//!   - [`credentials`]: where they come from, how they are renewed, and who is told when there is none.
//!   - [`keys`]: what clients may send as a key, and what of a request goes no further.
//!   - [`turns`]: one connection, many requests: pipelining, HTTP/1.0, `Expect`, its end.
//!   - [`http2`]: many requests at once on one connection, and what may go wrong with one of them.
//!   - [`cuts`]: an upstream that breaks off, or cannot be reached or trusted.
//!   - [`reuse`]: upstream connections and TLS sessions: when they serve again, and when never.
//!   - [`operations`]: what is no action on a model: where each goes, with which credential, at what cost.
//!   - [`failover`]: attempts: elsewhere, again, or not at all; time-outs, limits, fallbacks.
//!   - [`bounds`]: what a core takes on at once, and what becomes of more.
//!   - [`spread`]: the choice of a deployment, and how the client learns of it.
//!   - [`cost`]: what an answer cost, in its head.
//!   - [`cost_table`]: what every family and every rule costs; it makes the tables of docs/cost.md.
//!   - [`accounts`]: one row and one log line per request, however it ends.
//!   - [`pages`]: what the proxy answers itself: pages, refusals, limits.
//! - [`store`]: what was spent, in SQLite and in PostgreSQL: counted once, whatever fails; `outcrop spend`.
//!   - [`admin_pages`]: what the control plane answers through a core: metrics, spend, prices.
//! - [`hostile`]: what no honest peer sends, from both sides, over raw sockets.
//! - [`ledger`]: its file after `kill -9`, and on a disk that is full.
//! - [`kill`]: the whole of it after `kill -9` under load: one row for each request that reached AWS.
//! - [`metrics_format`]: what Prometheus's own parsers make of our metrics.
//! - [`sums`]: log, store and metrics of one mixed run add up to the same, and hold no secret.
//! - [`stopping`]: the process: start, refusal to start, signals, exit codes, and what it never prints.
//! - [`security`]: docs/security.md against the tests that it names; what an operator is warned of.
//! - [`reload`]: SIGHUP: what changes at once, what does not, and what nobody notices.
//! - [`hand_over`]: SIGUSR2: another binary takes over, and no client notices.
//! - [`systemd`]: sockets from a service manager, and what it hears.
//! - [`surroundings`]: descriptors that run out, a clock that is wrong, a kernel without io_uring.
//! - [`running`], [`proxy`], [`http`], [`postgres`], [`document`]: not tests: the binary from start to end, the
//!   proxy in this process, a client that sees what others hide, a PostgreSQL of our own, and documents.
//! - [`running`], [`proxy`], [`http`], [`postgres`]: not tests: the binary from start to end, the proxy in
//!   this process, a client that sees what others hide, and a PostgreSQL of our own.

use std::io::Write as _;

#[cfg(feature = "stand-in")]
mod accounts;
#[cfg(feature = "stand-in")]
mod admin_pages;
#[cfg(feature = "stand-in")]
mod arrival;
#[cfg(feature = "stand-in")]
mod bounds;
#[cfg(feature = "stand-in")]
mod client_matrix;
#[cfg(feature = "stand-in")]
mod client_operations;
#[cfg(feature = "stand-in")]
mod client_signatures;
#[cfg(feature = "stand-in")]
mod client_tls;
#[cfg(feature = "stand-in")]
mod clients;
#[cfg(feature = "stand-in")]
mod content;
#[cfg(feature = "stand-in")]
mod cost;
#[cfg(feature = "stand-in")]
mod cost_table;
#[cfg(feature = "stand-in")]
mod credentials;
#[cfg(feature = "stand-in")]
mod cuts;
#[cfg(feature = "stand-in")]
mod document;
#[cfg(feature = "stand-in")]
mod failover;
#[cfg(feature = "stand-in")]
mod hand_over;
#[cfg(feature = "stand-in")]
mod hostile;
#[cfg(feature = "stand-in")]
mod http;
#[cfg(feature = "stand-in")]
mod http2;
#[cfg(feature = "stand-in")]
mod keys;
#[cfg(feature = "stand-in")]
mod kill;
mod ledger;
mod licences;
#[cfg(feature = "stand-in")]
mod metrics_format;
#[cfg(feature = "stand-in")]
mod operations;
#[cfg(feature = "stand-in")]
mod pages;
#[cfg(feature = "stand-in")]
mod postgres;
#[cfg(feature = "stand-in")]
mod proxy;
#[cfg(feature = "stand-in")]
mod reload;
#[cfg(feature = "stand-in")]
mod reuse;
#[cfg(feature = "stand-in")]
mod running;
#[cfg(feature = "stand-in")]
mod security;
#[cfg(feature = "stand-in")]
mod signing;
#[cfg(feature = "stand-in")]
mod spread;
#[cfg(feature = "stand-in")]
mod stopping;
#[cfg(feature = "stand-in")]
mod store;
#[cfg(feature = "stand-in")]
mod sums;
#[cfg(feature = "stand-in")]
mod surroundings;
#[cfg(feature = "stand-in")]
mod systemd;
mod tidy;
#[cfg(feature = "stand-in")]
mod turns;

/// Says that `test` cannot run here and why. Under `CI=true` that is a failure: there, nothing is missing.
fn skip(test: &str, why: &str) {
    #[expect(clippy::disallowed_methods, reason = "CI says so in the environment only")]
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!ci, "{test} cannot run, and CI=true lets nothing be skipped: {why}");
    // Not eprintln!: libtest keeps that of a passing test to itself, and a skip must be seen.
    let _ = writeln!(std::io::stderr(), "\n!!!!!!!! SKIPPED: {test}: {why}\n");
}
