//! AWS Signature Version 4, without I/O.
//!
//! ```text
//! wire path, query ─► canonical ─┐
//! fields, SHA-256 of content ────┴─► canonical request ─► SHA-256 ─► string to sign ─► HMAC ─► authorization
//!                                                secret, day, region, service ─► SigningKey ─┘
//! ```
//!
//! AWS's own crate spends most of a signature on parsing, sorting and formatting what the proxy
//! already has in order; this signer only appends and hashes. It decides correctness all the same:
//! tests hold every signature equal to that of `aws-sigv4` and of botocore.
//! Source: the "Signature Version 4 signing process" of the AWS IAM user guide.

mod authorization;
mod canonical;
#[cfg(any(test, all(fuzzing, feature = "stand-in")))]
#[doc(hidden)]
pub mod properties;
mod sign;
mod verify;

pub use authorization::access_key_id;
pub use canonical::{
    Signable, SignedField, canonical_path, canonical_query, canonical_request, write_hex,
};
pub use sign::{AmzDate, Scope, SigningKey, sign, string_to_sign};
pub use verify::{Presented, Refused, Unverified};
