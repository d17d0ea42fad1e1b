//! A message head: start line and fields, as slices of the bytes they came in (RFC 9112 §2–5).
//!
//! `httparse` tokenizes at SIMD speed but takes what old peers send: lines that end in a bare LF, any
//! number of empty lines, targets in UTF-8. A head that it takes is therefore looked at once more, and
//! one that it does not take is walked by `strict`, which finds the *first* fault. That order makes
//! the verdict independent of segmentation: every prefix gives "not whole yet" or the final error.
//!
//! A head that drips in is parsed anew on each read. That is quadratic in the number of reads, yet
//! bounded: [`HEAD_BYTES_MAX`] costs about as much to walk as the read that brought the byte.

use std::fmt;
use std::mem::MaybeUninit;

use memchr::memchr_iter;

use super::strict;
pub use super::strict::is_host;
use crate::limits::{FIELDS_MAX, HEAD_BYTES_MAX, TARGET_BYTES_MAX};

/// The versions spoken here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// No chunked coding, no interim answers, close by default.
    Http10,
    /// Persistent by default.
    Http11,
    /// No head says it: a request that came in a stream, whose end is the answer's. No chunked coding.
    Http2,
}

/// Why a head is refused. One variant per reaction; the peer that sent it erred.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeadError {
    /// Not a head by RFC 9112, or an ambiguous one: 400, or 502 for an answer.
    Malformed(&'static str),
    /// Over [`HEAD_BYTES_MAX`]: 431 or 502.
    TooLarge,
    /// Target over [`TARGET_BYTES_MAX`]: 414.
    TargetTooLong,
    /// Over [`FIELDS_MAX`]: 431 or 502.
    TooManyFields,
    /// Not HTTP/1.0 or HTTP/1.1; HTTP/2 with prior knowledge looks like this too: 505 or 502.
    UnsupportedVersion,
}

/// Room for the fields of one head, on the caller's stack; not written until a head is parsed.
pub struct FieldStorage<'b> {
    slots: [MaybeUninit<httparse::Header<'b>>; FIELDS_MAX],
}

impl FieldStorage<'_> {
    /// Costs nothing: the room is left uninitialised.
    #[must_use]
    pub const fn new() -> Self {
        Self { slots: [const { MaybeUninit::uninit() }; FIELDS_MAX] }
    }
}

impl Default for FieldStorage<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// The fields of a head in their order of arrival. Names are tokens; values are without the
/// whitespace around them and hold no control character but HTAB.
#[derive(Clone, Copy)]
pub struct Fields<'h, 'b>(&'h [httparse::Header<'b>]);

impl<'h, 'b> Fields<'h, 'b> {
    /// No fields at all.
    pub const NONE: Self = Self(&[]);

    /// Each field: name as sent, value.
    pub fn iter(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + use<'h, 'b> {
        self.0.iter().map(|field| (field.name, field.value))
    }

    /// The values of every field called `name`, whatever its case, in order.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'h, 'b, 'n> {
        self.0.iter().filter(move |f| f.name.eq_ignore_ascii_case(name)).map(|f| f.value)
    }

    /// The value of the first field called `name`, whatever its case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'b [u8]> {
        self.all(name).next()
    }

    /// The members of a comma-separated list, over all fields called `name`: without whitespace,
    /// empty ones left out (RFC 9110 §5.6.1).
    pub fn members<'n>(&self, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'h, 'b, 'n> {
        self.all(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty())
    }

    /// How many fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Names only: values hold keys and tokens, which must not reach a log.
impl fmt::Debug for Fields<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|field| field.name)).finish()
    }
}

/// A request's head.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'h, 'b> {
    /// A token, case-sensitive.
    pub method: &'b str,
    /// As sent, not decoded: visible ASCII, 1 to [`TARGET_BYTES_MAX`] bytes.
    pub target: &'b str,
    /// Of the request line.
    pub version: Version,
    /// One valid Host among them, or none if the version is [`Version::Http10`].
    pub fields: Fields<'h, 'b>,
    /// Bytes of the head, with the blank line and an empty line before it.
    pub length: usize,
}

/// An answer's head.
#[derive(Clone, Copy, Debug)]
pub struct AnswerHead<'h, 'b> {
    /// Of the status line.
    pub version: Version,
    /// 100 to 599.
    pub status: u16,
    /// Empty if absent, or if it is not ASCII.
    pub reason: &'b str,
    /// The fields.
    pub fields: Fields<'h, 'b>,
    /// Bytes of the head, with the blank line.
    pub length: usize,
}

/// Parses a request's head at the start of `input`. `None`: not whole yet, and not yet wrong.
///
/// # Errors
/// [`HeadError`], as soon as no further byte could make it a head; never later than after
/// [`HEAD_BYTES_MAX`] bytes.
pub fn parse_request<'h, 'b>(
    input: &'b [u8],
    storage: &'h mut FieldStorage<'b>,
) -> Result<Option<RequestHead<'h, 'b>>, HeadError> {
    let window = &input[..input.len().min(HEAD_BYTES_MAX)];
    let skipped = if window.starts_with(b"\r\n") { 2 } else { 0 };
    let mut parsed = httparse::Request::new(&mut []);
    let tokenized = match window.get(skipped) {
        Some(b'\r' | b'\n') | None => Ok(httparse::Status::Partial), // httparse would skip them all
        Some(_) => parsed.parse_with_uninit_headers(&window[skipped..], &mut storage.slots),
    };
    let (Ok(httparse::Status::Complete(length)), Some(method), Some(target)) =
        (tokenized, parsed.method, parsed.path)
    else {
        return undecided(strict::request(window), tokenized.is_err(), input.len());
    };
    let length = skipped + length;
    let target_is_fit = target.len() <= TARGET_BYTES_MAX && target.is_ascii();
    if has_bare_line_feed(&window[..length]) || !target_is_fit {
        return undecided(strict::request(window), true, input.len());
    }
    let version = version_of(parsed.version);
    let fields = Fields(parsed.headers);
    check_host(version, &fields)?;
    Ok(Some(RequestHead { method, target, version, fields, length }))
}

/// Parses an answer's head at the start of `input`. `None`: not whole yet, and not yet wrong.
///
/// # Errors
/// As [`parse_request`].
pub fn parse_answer<'h, 'b>(
    input: &'b [u8],
    storage: &'h mut FieldStorage<'b>,
) -> Result<Option<AnswerHead<'h, 'b>>, HeadError> {
    let window = &input[..input.len().min(HEAD_BYTES_MAX)];
    let mut parsed = httparse::Response::new(&mut []);
    let tokenized = match window.first() {
        Some(b'\r' | b'\n') | None => Ok(httparse::Status::Partial), // httparse would skip them all
        Some(_) => httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut parsed,
            window,
            &mut storage.slots,
        ),
    };
    let (Ok(httparse::Status::Complete(length)), Some(status)) = (tokenized, parsed.code) else {
        return undecided(strict::answer(window), tokenized.is_err(), input.len());
    };
    if has_bare_line_feed(&window[..length]) || !(100..=599).contains(&status) {
        return undecided(strict::answer(window), true, input.len());
    }
    let (version, fields) = (version_of(parsed.version), Fields(parsed.headers));
    let reason = parsed.reason.unwrap_or("");
    Ok(Some(AnswerHead { version, status, reason, fields, length }))
}

/// The verdict on bytes that are no acceptable head: the first fault that [`strict`] found, or that
/// they are too many, or that more are needed.
fn undecided<T>(
    walked: Result<(), strict::Stop>,
    is_refused: bool,
    received: usize,
) -> Result<Option<T>, HeadError> {
    match walked {
        Err(strict::Stop::Fault(fault)) => Err(fault),
        // The walker is at least as strict as httparse; the fuzz targets hold us to that.
        _ if is_refused => Err(HeadError::Malformed(strict::UNEXPLAINED)),
        _ if received >= HEAD_BYTES_MAX => Err(HeadError::TooLarge),
        _ => Ok(None),
    }
}

/// Whether a line ends in LF without CR. A bare CR is refused by httparse itself.
fn has_bare_line_feed(head: &[u8]) -> bool {
    memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r')
}

fn version_of(minor: Option<u8>) -> Version {
    if minor == Some(0) { Version::Http10 } else { Version::Http11 }
}

/// RFC 9112 §3.2: exactly one Host, a valid one; HTTP/1.0 may do without.
fn check_host(version: Version, fields: &Fields<'_, '_>) -> Result<(), HeadError> {
    let mut hosts = fields.all("host");
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::Http10 => Ok(()),
        (None, _) => Err(HeadError::Malformed("no host")),
        (Some(_), Some(_)) => Err(HeadError::Malformed("more than one host")),
        (Some(host), None) if is_host(host) => Ok(()),
        (Some(_), None) => Err(HeadError::Malformed("invalid host")),
    }
}

#[cfg(test)]
mod tests {
    use super::HeadError::*;
    use super::*;

    fn check(input: impl AsRef<[u8]>, expected: Result<Option<usize>, HeadError>) {
        let input = input.as_ref();
        let mut storage = FieldStorage::new();
        let found = parse_request(input, &mut storage).map(|head| head.map(|head| head.length));
        let shown = String::from_utf8_lossy(&input[..input.len().min(80)]);
        match (found, expected) {
            (Err(Malformed(_)), Err(Malformed(""))) => {} // for whatever reason
            (found, expected) => assert_eq!(found, expected, "{shown}"),
        }
    }

    #[test]
    fn a_head_is_slices_of_its_bytes() {
        let input =
            b"POST /model/a%3Ab/invoke HTTP/1.1\r\nHost: a\r\nX: 1\r\nx:\t2 \r\nEmpty:\r\n\r\n{}";
        let mut storage = FieldStorage::new();
        let head = parse_request(input, &mut storage).expect("valid").expect("whole");
        assert_eq!((head.method, head.target), ("POST", "/model/a%3Ab/invoke"));
        assert_eq!((head.version, head.length), (Version::Http11, input.len() - 2));
        assert_eq!(head.fields.get("x"), Some(&b"1"[..]));
        assert_eq!(head.fields.all("X").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(head.fields.get("empty"), Some(&b""[..]));
        assert_eq!(head.fields.get("absent"), None);
        assert_eq!(head.fields.len(), 4);
        assert_eq!(format!("{:?}", head.fields), r#"["Host", "X", "x", "Empty"]"#);
    }

    #[test]
    fn an_answer_is_a_version_a_status_and_perhaps_a_reason() {
        for (line, expected) in [
            ("HTTP/1.1 200 OK", Ok((200, "OK"))),
            ("HTTP/1.0 404 Not Found", Ok((404, "Not Found"))),
            ("HTTP/1.1 200 ", Ok((200, ""))),
            ("HTTP/1.1 200", Ok((200, ""))),
            ("HTTP/2.0 200 OK", Err(UnsupportedVersion)),
            ("HTTP/1.2 200 OK", Err(UnsupportedVersion)),
            ("HTTP/1.1 099 Odd", Err(Malformed("status not from 100 to 599"))),
            ("HTTP/1.1 600 Odd", Err(Malformed("status not from 100 to 599"))),
            ("HTTP/1.1 2000 Odd", Err(Malformed("control character in the status line"))),
            ("HTTP/1.1 20 Odd", Err(Malformed("status not of three digits"))),
            ("HTTP/1.1  200 OK", Err(Malformed("status not from 100 to 599"))),
            ("<html>", Err(Malformed("no HTTP version"))),
            ("\r\nHTTP/1.1 200 OK", Err(Malformed("no HTTP version"))),
        ] {
            let input = format!("{line}\r\nA: b\r\n\r\n");
            let mut storage = FieldStorage::new();
            let found = parse_answer(input.as_bytes(), &mut storage);
            let found = found.map(|head| head.map(|head| (head.status, head.reason)));
            assert_eq!(found, expected.map(Some), "{line}");
        }
    }

    #[test]
    fn garbage_is_refused_before_it_is_whole() {
        for garbage in [
            &b"\x16"[..],
            b"\n",
            b"\r\n\r",
            b"\rG",
            b" ",
            b"G\0",
            b"GET  ",
            b"GET /\r",
            b"GET /\x80",
        ] {
            check(garbage, Err(Malformed("")));
        }
        for garbage in [
            "GET / http",
            "GET / HTTP/0",
            "GET / HTTP/1.1x",
            "GET / HTTP/1.1\n",
            "GET / HTTP/1.1 \r",
        ] {
            check(garbage, Err(Malformed("")));
        }
        let line = "GET / HTTP/1.1\r\n";
        for garbage in [
            " ",
            "\t",
            ":",
            "a ",
            "a\r",
            "a: b\n",
            "a: b\rc",
            "a: b\0",
            "a: \x7f",
            "a: b\r\n c",
            "\n",
            "\rx",
        ] {
            check(format!("{line}{garbage}"), Err(Malformed("")));
        }
        for short in [
            "",
            "\r",
            "\r\n",
            "G",
            "GET / HT",
            "GET / HTTP/1.",
            "GET / HTTP/1.1\r",
            "\r\nGET / HTTP/1.1\r\na: ",
        ] {
            check(short, Ok(None));
        }
        for version in ["PRI * HTTP/2", "GET / HTTP/1.2", "GET / HTTP/3"] {
            check(version, Err(UnsupportedVersion));
        }
    }

    #[test]
    fn a_request_names_one_valid_host() {
        for host in ["a", "a.b:80", "127.0.0.1:4000", "[::1]", "[::1]:80", "a%2Fb", "a:", "[v1.x]"]
        {
            let head = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
            check(&head, Ok(Some(head.len())));
        }
        for host in [
            "", "a b", "a/b", "u@a", "a:b", "a:1:2", "[::1", "[]", "[::1]x", "a%2", "%", ":80",
            "a\u{e9}",
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            check(head, Err(Malformed("invalid host")));
        }
        check("GET / HTTP/1.1\r\n\r\n", Err(Malformed("no host")));
        check("GET / HTTP/1.0\r\n\r\n", Ok(Some(18)));
        check("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", Err(Malformed("more than one host")));
    }

    #[test]
    fn each_limit_holds_to_the_byte() {
        let line = "GET / HTTP/1.1\r\nHost: a\r\n";
        let fields = |count| format!("{line}{}\r\n", "a: b\r\n".repeat(count));
        check(fields(FIELDS_MAX - 1), Ok(Some(fields(FIELDS_MAX - 1).len())));
        check(fields(FIELDS_MAX), Err(TooManyFields));

        let target = |bytes| format!("GET {} HTTP/1.0\r\n\r\n", "/".repeat(bytes));
        check(target(TARGET_BYTES_MAX), Ok(Some(TARGET_BYTES_MAX + 17)));
        check(target(TARGET_BYTES_MAX + 1), Err(TargetTooLong));
        check(&target(TARGET_BYTES_MAX + 1)[..5 + TARGET_BYTES_MAX], Err(TargetTooLong));

        let sized =
            |bytes: usize| format!("{line}a: {}\r\n\r\n", "b".repeat(bytes - line.len() - 7));
        check(sized(HEAD_BYTES_MAX), Ok(Some(HEAD_BYTES_MAX)));
        check(&sized(HEAD_BYTES_MAX + 1)[..HEAD_BYTES_MAX - 1], Ok(None));
        check(&sized(HEAD_BYTES_MAX + 1)[..HEAD_BYTES_MAX], Err(TooLarge));
        check(sized(HEAD_BYTES_MAX + 1), Err(TooLarge));
    }
}
