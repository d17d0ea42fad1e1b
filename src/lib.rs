//! Outcrop: AWS Bedrock's own protocol from many clients, through one event-loop proxy.
//!
//! # The map
//!
//! ```text
//!               main (flags, subcommands)
//!                │
//!    data_plane  │  control_plane   mock_bedrock     one thread per core │ one thread that may block │ a stand-in for AWS
//!         └──┬───┴───┬──┘                            (never each other)
//!            ▼       ▼
//!           net ── sockets, TLS, clock               ══════ I/O starts here; everything below is pure: no .await ══════
//!            ▼
//!         boundary                                   Snapshot ↓ (control → data)    Ledger, notices, errands ↑
//!            ▼
//!          policy                                    auth · route · balance
//!            ▼
//!         bedrock                                    operation · model · usage · price · fault
//!            ▼
//!           wire                                     http1 · eventstream · sigv4 · json
//!            ▼
//!   buffer → limits → units, secret                  words
//! ```
//!
//! A layer uses only layers below it; `tests/it/tidy.rs` checks that. Read [`data_plane::exchange`]
//! next: it is the road a request takes.
//!
//! # Lexicon
//!
//! - **client**, **upstream**: the two sides. A *request* comes from the client, an *answer* from upstream.
//! - **head**, **content**: a message's start line and fields, and what follows (RFC 9112 §2.1, RFC 9110 §6.4).
//! - **deployment**: one entry of `model_list`: a model id in a region with a credential. **Group**: the
//!   deployments that share a `model_name`.
//! - **snapshot**: one immutable generation of everything the data plane knows.
//! - **fault**: an error shaped as AWS shapes it. **Notice**: what a core tells the operator. **Errand**: a
//!   page that a core has the control plane make.
//! - **entry**: one request's account, 256 bytes. **Ledger**: entries in memory-mapped files, one per core.
//!   **Books**: ledger, store, access log and metrics together.
//!
//! # Invariants
//!
//! - Content passes byte for byte, request and answer, and on arrival. What leaves differs only in the head.
//!   One exception: an error (400, 401, 403) to a deployment whose credential goes over the wire is held
//!   until it is whole, and replaced if it quotes that credential.
//! - Time, randomness and configuration are arguments below `net`. Only `net::clock` reads a clock.
//! - No credential, client key or request content reaches a log, an error or a panic message.
//! - Money is integer pico-dollars. Usage or a price that is not known is unknown, never 0.
//! - A message that was cut, or a stream whose frames break, never ends cleanly at the client. One exception: a
//!   stream of frames that breaks off between two of them ends with one more, a modelled exception that says so.
//! - Log, metrics and spend are three readers of the same entry, so they cannot disagree. Every request that
//!   AWS may have seen has exactly one, also after `kill -9`; what found no room is counted as lost.
//! - No lock and no heap allocation of ours per request in the steady state on the data plane
//!   (`benches/allocations.rs`; rustls 0.23 makes a vector per record). One system call besides io_uring's: the look at an idle connection that
//!   is about to be reused, so that bytes nobody asked for never answer a request.
//!
//! Deliberately absent: a way to take the upstream host, region or credential from a client; redirects;
//! tunnels (`CONNECT`, `Upgrade`); anything that reads request content.

pub mod bedrock;
pub mod boundary;
pub mod buffer;

pub mod control_plane;
pub mod data_plane;
pub mod limits;
#[cfg(feature = "stand-in")]
pub mod mock_bedrock;
pub mod net;
pub mod policy;
pub mod secret;
pub mod units;
pub mod wire;
