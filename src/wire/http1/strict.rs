//! The grammar of a head as we take it, walked byte by byte up to the first fault.
//!
//! Runs only on heads that are incomplete or refused, so it is written to be read. Invariant: the
//! verdict on a prefix stands for all that begins with it: a fault stays the same fault, and only
//! "short" may change.
//!
//! ```text
//! request = [CRLF] token SP 1*VCHAR SP version CRLF fields       answer = version SP 3DIGIT [SP reason] CRLF fields
//! fields  = *( token ":" *( HTAB / SP / VCHAR / obs-text ) CRLF ) CRLF
//! ```

use super::head::HeadError;
use crate::limits::{FIELDS_MAX, TARGET_BYTES_MAX};

/// What a refusal says if httparse refuses and the walker does not: our bug, found by fuzzing.
pub(super) const UNEXPLAINED: &str = "refused by httparse alone";

/// Why the walk ended before the head did.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Stop {
    /// The bytes ended first.
    Short,
    /// No further byte can make it a head.
    Fault(HeadError),
}

/// Walks a request's head, at most one empty line before it (RFC 9112 §2.2).
pub(super) fn request(input: &[u8]) -> Result<(), Stop> {
    let mut walk = Walk { rest: input };
    if walk.peek()? == b'\r' {
        walk.line_end("an empty line that does not end in CRLF")?;
    }
    walk.token(b' ', "invalid method")?;
    walk.target()?;
    walk.version()?;
    walk.line_end("more on the request line than method, target and version")?;
    walk.fields()
}

/// Walks an answer's head.
pub(super) fn answer(input: &[u8]) -> Result<(), Stop> {
    let mut walk = Walk { rest: input };
    walk.version()?;
    walk.byte(|byte| byte == b' ', "no space before the status")?;
    walk.byte(|byte| (b'1'..=b'5').contains(&byte), "status not from 100 to 599")?;
    for _ in 0..2 {
        walk.byte(|byte| byte.is_ascii_digit(), "status not of three digits")?;
    }
    if walk.peek()? == b' ' {
        walk.run(is_text)?;
    }
    walk.line_end("control character in the status line")?;
    walk.fields()
}

/// Whether `value` is a Host field's: `uri-host [ ":" port ]` (RFC 9110 §7.2), not empty, since an
/// http URI with an empty host is to be refused (§4.2.1).
pub fn is_host(value: &[u8]) -> bool {
    let (host, port) = if value.first() == Some(&b'[') {
        let Some(end) = value.iter().position(|byte| *byte == b']') else { return false };
        let literal = &value[1..end];
        let is_literal = !literal.is_empty()
            && literal.iter().all(|b| *b == b':' || is_unreserved(*b) || is_sub_delimiter(*b));
        (is_literal, &value[end + 1..])
    } else {
        let end = value.iter().position(|byte| *byte == b':').unwrap_or(value.len());
        (is_registered_name(&value[..end]), &value[end..])
    };
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    host && is_port
}

/// Token characters (RFC 9110 §5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What a field value, a reason or a chunk extension may hold: no control character but HTAB.
pub(super) fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn is_sub_delimiter(byte: u8) -> bool {
    b"!$&'()*+,;=".contains(&byte)
}

/// `reg-name` (RFC 3986 §3.2.2), of at least one character; IPv4 addresses are among them.
fn is_registered_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                tail
            }
            (byte, tail) if is_unreserved(*byte) || is_sub_delimiter(*byte) => tail,
            _ => return false,
        };
    }
    !name.is_empty()
}

/// The bytes not walked yet.
struct Walk<'b> {
    rest: &'b [u8],
}

impl Walk<'_> {
    fn peek(&self) -> Result<u8, Stop> {
        self.rest.first().copied().ok_or(Stop::Short)
    }

    /// One byte, which must be `fit`.
    fn byte(&mut self, fit: impl Fn(u8) -> bool, fault: &'static str) -> Result<u8, Stop> {
        let byte = self.peek()?;
        if !fit(byte) {
            return Err(Stop::Fault(HeadError::Malformed(fault)));
        }
        self.rest = &self.rest[1..];
        Ok(byte)
    }

    /// As many bytes as are `fit`: how many. Short if no other byte follows.
    fn run(&mut self, fit: impl Fn(u8) -> bool) -> Result<usize, Stop> {
        let length = self.rest.iter().position(|byte| !fit(*byte)).ok_or(Stop::Short)?;
        self.rest = &self.rest[length..];
        Ok(length)
    }

    /// A token and the byte that must end it.
    fn token(&mut self, end: u8, fault: &'static str) -> Result<(), Stop> {
        if self.run(is_token)? == 0 {
            return Err(Stop::Fault(HeadError::Malformed(fault)));
        }
        self.byte(|byte| byte == end, fault)?;
        Ok(())
    }

    fn target(&mut self) -> Result<(), Stop> {
        let within = &self.rest[..self.rest.len().min(TARGET_BYTES_MAX + 1)];
        let length = within.iter().position(|byte| !byte.is_ascii_graphic());
        match length {
            None if within.len() > TARGET_BYTES_MAX => Err(Stop::Fault(HeadError::TargetTooLong)),
            None => Err(Stop::Short),
            Some(0) => Err(Stop::Fault(HeadError::Malformed("no target"))),
            Some(length) => {
                self.rest = &self.rest[length..];
                self.byte(|byte| byte == b' ', "invalid target, or no version")?;
                Ok(())
            }
        }
    }

    fn version(&mut self) -> Result<(), Stop> {
        const NO_VERSION: &str = "no HTTP version";
        for expected in b"HTTP/" {
            self.byte(|byte| byte == *expected, NO_VERSION)?;
        }
        match self.byte(|byte| byte.is_ascii_digit(), NO_VERSION)? {
            b'1' => {}
            b'0' => return Err(Stop::Fault(HeadError::Malformed("a version before HTTP/1.0"))),
            _ => return Err(Stop::Fault(HeadError::UnsupportedVersion)),
        }
        self.byte(|byte| byte == b'.', NO_VERSION)?;
        match self.byte(|byte| byte.is_ascii_digit(), NO_VERSION)? {
            b'0' | b'1' => Ok(()),
            _ => Err(Stop::Fault(HeadError::UnsupportedVersion)),
        }
    }

    fn line_end(&mut self, fault: &'static str) -> Result<(), Stop> {
        self.byte(|byte| byte == b'\r', fault)?;
        self.byte(|byte| byte == b'\n', "CR without LF")?;
        Ok(())
    }

    fn fields(&mut self) -> Result<(), Stop> {
        for count in 0.. {
            if self.peek()? == b'\r' {
                return self.line_end("CR without LF");
            }
            if count == FIELDS_MAX {
                return Err(Stop::Fault(HeadError::TooManyFields));
            }
            self.token(b':', "invalid field name, or whitespace around it")?;
            self.run(is_text)?;
            self.line_end("control character in a field value, or LF without CR")?;
        }
        unreachable!("FIELDS_MAX ends the loop")
    }
}
