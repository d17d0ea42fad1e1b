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

#[cfg(test)]
mod tests {
    use super::super::head::{FieldStorage, parse_answer};
    use super::*;

    /// Gives `look` the version and the fields of a head with these lines.
    fn with<T>(version: Version, lines: &str, look: impl Fn(Version, &Fields<'_, '_>) -> T) -> T {
        let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        let mut storage = FieldStorage::new();
        let head = parse_answer(head.as_bytes(), &mut storage).expect("a head").expect("whole");
        look(version, &head.fields)
    }

    /// The framing of a request, and of an answer, that declares one.
    fn check(lines: &str, expected: Result<Framing, FramingError>) {
        assert_eq!(with(Version::Http11, lines, of_request), expected, "{lines}");
        for (method, status) in [("POST", 200), ("POST", 400), ("GET", 206)] {
            let answer = with(Version::Http11, lines, |v, f| of_answer(method, status, v, f));
            assert_eq!(answer, expected, "{lines}");
        }
    }

    #[test]
    fn one_plain_declaration_is_taken() {
        check("Content-Length: 0\r\n", Ok(Framing::Length(0)));
        check("content-length:  5 \r\n", Ok(Framing::Length(5)));
        check("Content-Length: 18446744073709551615\r\n", Ok(Framing::Length(u64::MAX)));
        check("Transfer-Encoding: chunked\r\n", Ok(Framing::Chunked));
        check("transfer-encoding: ChunkeD\r\n", Ok(Framing::Chunked));
    }

    #[test]
    fn an_ambiguous_declaration_is_refused() {
        use FramingError::BadRequest;
        for value in [
            "",
            "+5",
            "-5",
            "5, 5",
            "5, 6",
            "0x5",
            "5 5",
            "1_0",
            "5.0",
            "18446744073709551616",
            "\u{660}",
        ] {
            let line = format!("Content-Length: {value}\r\n");
            check(&line, Err(BadRequest("invalid content-length")));
        }
        for pair in ["5|5", "5|6", "5|"] {
            let (a, b) = pair.split_once('|').expect("two values");
            let lines = format!("Content-Length: {a}\r\nContent-Length: {b}\r\n");
            check(&lines, Err(BadRequest("more than one content-length")));
        }
        for coding in ["chunked", "gzip", ""] {
            let lines = format!("Transfer-Encoding: {coding}\r\nContent-Length: 5\r\n");
            check(&lines, Err(BadRequest("content-length beside transfer-encoding")));
        }
        let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
        check(twice, Err(BadRequest("more than one transfer-encoding")));
        for coding in ["", ",chunked", "\"chunked\"", "chunked;a=b", "chun ked"] {
            let line = format!("Transfer-Encoding: {coding}\r\n");
            check(&line, Err(BadRequest("invalid transfer-encoding")));
        }
        for coding in ["chunked, chunked", "chunked, identity", "Chunked,gzip", "chunked,"] {
            let line = format!("Transfer-Encoding: {coding}\r\n");
            check(&line, Err(BadRequest("a transfer coding after chunked")));
        }
        for coding in ["gzip", "identity", "xchunked", "gzip, chunked", "chunke"] {
            let line = format!("Transfer-Encoding: {coding}\r\n");
            check(&line, Err(FramingError::UnknownCoding));
        }
    }

    #[test]
    fn http_1_0_knows_no_transfer_coding() {
        let refused = Err(FramingError::BadRequest("transfer-encoding in HTTP/1.0"));
        assert_eq!(with(Version::Http10, "Transfer-Encoding: chunked\r\n", of_request), refused);
        let length = with(Version::Http10, "Content-Length: 5\r\n", of_request);
        assert_eq!(length, Ok(Framing::Length(5)));
    }

    #[test]
    fn without_a_declaration_the_side_and_the_status_decide() {
        assert_eq!(with(Version::Http11, "", of_request), Ok(Framing::Length(0)));
        for (method, status, framing) in [
            ("POST", 200, Framing::UntilClose),
            ("HEAD", 200, Framing::Length(0)),
            ("POST", 100, Framing::Length(0)),
            ("POST", 199, Framing::Length(0)),
            ("POST", 204, Framing::Length(0)),
            ("POST", 304, Framing::Length(0)),
            ("POST", 205, Framing::UntilClose),
        ] {
            let found = with(Version::Http11, "", |v, f| of_answer(method, status, v, f));
            assert_eq!(found, Ok(framing), "{method} {status}");
        }
        let of_head = |v: Version, f: &Fields<'_, '_>| of_answer("HEAD", 200, v, f);
        let length = with(Version::Http11, "Content-Length: 5\r\n", of_head);
        assert_eq!(length, Ok(Framing::Length(0)));
        let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
        assert!(with(Version::Http11, both, of_head).is_err(), "ambiguous all the same");
    }

    #[test]
    fn connection_options_override_the_versions_default() {
        use Version::{Http10, Http11};
        for (version, lines, expected) in [
            (Http11, "", true),
            (Http10, "", false),
            (Http11, "Connection: Close\r\n", false),
            (Http10, "Connection: Keep-Alive\r\n", true),
            (Http11, "Connection: x, close\r\n", false),
            (Http10, "Connection: keep-alive, close\r\n", false),
            (Http11, "Connection: keep-alive\r\nConnection: close\r\n", false),
            (Http11, "Connection: closed\r\n", true),
            (Http11, "Connection: ,,\r\n", true),
        ] {
            assert_eq!(with(version, lines, keeps_alive), expected, "{version:?} {lines}");
        }
    }

    #[test]
    fn only_continue_may_be_expected() {
        use Version::{Http10, Http11};
        for (version, lines, expected) in [
            (Http11, "", Ok(Expectation::None)),
            (Http11, "Expect: 100-Continue\r\n", Ok(Expectation::Continue)),
            (Http10, "Expect: 100-continue\r\n", Ok(Expectation::None)),
            (Http10, "Expect: magic\r\n", Ok(Expectation::None)),
            (Http11, "Expect: magic\r\n", Err(UnknownExpectation)),
            (Http11, "Expect:\r\n", Err(UnknownExpectation)),
            (Http11, "Expect: 100-continue, magic\r\n", Err(UnknownExpectation)),
            (Http11, "Expect: 100-continue\r\nExpect: y\r\n", Err(UnknownExpectation)),
        ] {
            assert_eq!(with(version, lines, expectation), expected, "{version:?} {lines}");
        }
    }
}
