//! Where content ends, and what happens to the connection after it (RFC 9112 §6 and §9).
//!
//! Two readers that disagree on a message's length are how requests are smuggled. The RFC lets a
//! recipient repair much of that; nothing is repaired here. One Content-Length of digits, or one
//! Transfer-Encoding that says `chunked`, or neither: all else is an error.

use super::head::{Fields, Version};
use super::strict::is_token;

/// Where the content of a message ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// After so many bytes; 0 when there is none.
    Length(u64),
    /// After the last chunk and the trailer section.
    Chunked,
    /// When the sender closes; answers only.
    UntilClose,
}

/// Why a message's end cannot be known. One variant per reaction; whoever sent the head erred.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FramingError {
    /// Ambiguous or invalid: 400 and close, or 502 for an answer.
    BadRequest(&'static str),
    /// A transfer coding other than chunked: 501 and close (RFC 9112 §6.1), or 502 for an answer.
    UnknownCoding,
}

/// Where a request's content ends (RFC 9112 §6.3). Without a declaration there is none.
///
/// # Errors
/// [`FramingError`]: answer it and close, since what follows cannot be told apart.
pub fn of_request(version: Version, fields: &Fields<'_, '_>) -> Result<Framing, FramingError> {
    Ok(declared(version, fields)?.unwrap_or(Framing::Length(0)))
}

/// Where the content of an answer to `request_method` ends (RFC 9112 §6.3). HEAD, 1xx, 204 and 304
/// have none, whatever their fields say; those must still be unambiguous.
///
/// # Errors
/// [`FramingError`]: drop the connection.
pub fn of_answer(
    request_method: &str,
    status: u16,
    version: Version,
    fields: &Fields<'_, '_>,
) -> Result<Framing, FramingError> {
    let declared = declared(version, fields)?;
    if request_method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
        return Ok(Framing::Length(0));
    }
    Ok(declared.unwrap_or(Framing::UntilClose))
}

/// Whether the connection outlives this message (RFC 9112 §9.3), as far as its sender is concerned.
#[must_use]
pub fn keeps_alive(version: Version, fields: &Fields<'_, '_>) -> bool {
    let mut keep_alive = version == Version::Http11;
    for option in fields.members("connection") {
        if option.eq_ignore_ascii_case(b"close") {
            return false;
        }
        keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    keep_alive
}

/// What a client waits for before it sends content (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expectation {
    /// Nothing.
    None,
    /// An interim 100 answer, or a final one.
    Continue,
}

/// The client expects what nobody here can do: 417.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnknownExpectation;

/// What the client waits for. HTTP/1.0 has no interim answers, so there nothing.
///
/// # Errors
/// [`UnknownExpectation`] for anything but `100-continue`, an empty value included.
pub fn expectation(
    version: Version,
    fields: &Fields<'_, '_>,
) -> Result<Expectation, UnknownExpectation> {
    if version == Version::Http10 {
        return Ok(Expectation::None);
    }
    let mut expectation = Expectation::None;
    for value in fields.all("expect") {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(UnknownExpectation);
        }
        expectation = Expectation::Continue;
    }
    Ok(expectation)
}

/// What Content-Length and Transfer-Encoding say, if anything.
fn declared(version: Version, fields: &Fields<'_, '_>) -> Result<Option<Framing>, FramingError> {
    let mut lengths = fields.all("content-length");
    let mut codings = fields.all("transfer-encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(FramingError::BadRequest("content-length beside transfer-encoding"))
        }
        (None, Some(_)) if version == Version::Http10 => {
            Err(FramingError::BadRequest("transfer-encoding in HTTP/1.0"))
        }
        (None, Some(_)) if codings.next().is_some() => {
            Err(FramingError::BadRequest("more than one transfer-encoding"))
        }
        (None, Some(coding)) => only_chunked(coding).map(Some),
        (Some(_), None) if lengths.next().is_some() => {
            Err(FramingError::BadRequest("more than one content-length"))
        }
        (Some(digits), None) => match length(digits) {
            Some(length) => Ok(Some(Framing::Length(length))),
            None => Err(FramingError::BadRequest("invalid content-length")),
        },
    }
}

/// `chunked` alone. Any other list of codings is unknown, unless chunked is in it at a place that
/// leaves the end open.
fn only_chunked(value: &[u8]) -> Result<Framing, FramingError> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(Framing::Chunked);
    }
    let mut members = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).peekable();
    while let Some(member) = members.next() {
        if member.is_empty() || !member.iter().all(|byte| is_token(*byte)) {
            return Err(FramingError::BadRequest("invalid transfer-encoding"));
        }
        if member.eq_ignore_ascii_case(b"chunked") && members.peek().is_some() {
            return Err(FramingError::BadRequest("a transfer coding after chunked"));
        }
    }
    Err(FramingError::UnknownCoding)
}

/// `1*DIGIT` that fits (RFC 9110 §8.6): no sign, no space, no list.
fn length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}
