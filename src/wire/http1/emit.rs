//! Heads as they leave: lines written into a buffer of the caller, and which fields stay behind.
//!
//! Nothing here allocates once `out` has grown. Invariant: what is written cannot end a line early.

use memchr::memchr2;

use super::head::Fields;

/// Whether a field speaks about one connection only, and so is never forwarded (RFC 9110 §7.6.1).
#[must_use]
pub fn is_hop_by_hop(name: &str) -> bool {
    const NAMES: [&str; 9] = [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The fields that the sender's Connection fields name: those are hop-by-hop too.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionOptions<'h, 'b> {
    fields: Option<Fields<'h, 'b>>,
}

impl<'h, 'b> ConnectionOptions<'h, 'b> {
    /// Of the head with these fields.
    #[must_use]
    pub fn of(fields: &Fields<'h, 'b>) -> Self {
        Self { fields: fields.get("connection").is_some().then_some(*fields) }
    }

    /// Whether a Connection field names `field_name`, whatever its case.
    #[must_use]
    pub fn names(&self, field_name: &str) -> bool {
        self.fields.is_some_and(|fields| {
            fields.members("connection").any(|it| it.eq_ignore_ascii_case(field_name.as_bytes()))
        })
    }
}

/// Appends `HTTP/1.1 200 OK` and CRLF. The reason may be empty; its space stays (RFC 9112 §4).
///
/// # Panics
/// If the reason holds a CR or LF, or the status has not three digits.
pub fn status_line(out: &mut Vec<u8>, status: u16, reason: &str) {
    assert!((100..=999).contains(&status), "a status has three digits");
    assert_one_line(reason.as_bytes());
    out.extend_from_slice(b"HTTP/1.1 ");
    number(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends `name: value` and CRLF.
///
/// # Panics
/// If the line would hold a CR or LF: a parsed value cannot, so one that does is our own bug, and a
/// dead connection is better than a smuggled request.
pub fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    assert_one_line(name.as_bytes());
    assert_one_line(value);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends `name: value` in decimal, and CRLF.
///
/// # Panics
/// As [`field`].
pub fn number_field(out: &mut Vec<u8>, name: &str, value: u64) {
    assert_one_line(name.as_bytes());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    number(out, value);
    out.extend_from_slice(b"\r\n");
}

/// The reason phrase of a status that we make ourselves (RFC 9110 §15); empty for others.
#[must_use]
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        424 => "Failed Dependency",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

fn assert_one_line(text: &[u8]) {
    assert!(memchr2(b'\r', b'\n', text).is_none(), "a line cannot hold a line end");
}

/// Appends `value` in decimal.
fn number(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = value;
    loop {
        start -= 1;
        digits[start] = b"0123456789"[(rest % 10) as usize];
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::super::head::{FieldStorage, parse_answer, parse_request};
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = b"POST /model/a%3Ab/invoke HTTP/1.1\r\n".to_vec();
        field(&mut out, "host", b"a");
        number_field(&mut out, "content-length", u64::MAX);
        out.extend_from_slice(b"\r\n");
        let mut storage = FieldStorage::new();
        let head = parse_request(&out, &mut storage).expect("valid").expect("whole");
        assert_eq!((head.method, head.target), ("POST", "/model/a%3Ab/invoke"));
        assert_eq!(head.fields.get("content-length"), Some(&b"18446744073709551615"[..]));

        for status in 100..=599 {
            let mut out = Vec::new();
            status_line(&mut out, status, reason_phrase(status));
            number_field(&mut out, "content-length", 0);
            out.extend_from_slice(b"\r\n");
            let mut storage = FieldStorage::new();
            let head = parse_answer(&out, &mut storage).expect("valid").expect("whole");
            assert_eq!((head.status, head.reason), (status, reason_phrase(status)));
            assert_eq!(head.fields.get("content-length"), Some(&b"0"[..]));
        }
    }

    #[test]
    fn fields_of_one_connection_stay_behind() {
        for name in ["Connection", "TE", "proxy-Authorization", "Transfer-Encoding", "upgrade"] {
            assert!(is_hop_by_hop(name), "{name}");
        }
        for name in ["content-type", "host", "te2", "", "x-amzn-bedrock-accept"] {
            assert!(!is_hop_by_hop(name), "{name}");
        }
        let head =
            b"HTTP/1.1 200 OK\r\nConnection: close, X-Private ,\r\nconnection:\tother\r\n\r\n";
        let mut storage = FieldStorage::new();
        let head = parse_answer(head, &mut storage).expect("valid").expect("whole");
        let options = ConnectionOptions::of(&head.fields);
        for name in ["close", "x-private", "OTHER"] {
            assert!(options.names(name), "{name}");
        }
        for name in ["", "x-priv", "connection"] {
            assert!(!options.names(name), "{name}");
        }
        assert!(!ConnectionOptions::of(&Fields::NONE).names("close"));
    }

    #[test]
    #[should_panic(expected = "a line cannot hold a line end")]
    fn a_smuggled_line_end_is_our_bug() {
        field(&mut Vec::new(), "a", b"b\r\nc: d");
    }
}
