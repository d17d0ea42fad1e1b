//! The canonical request: the one form of a request that both ends hash.
//!
//! Bedrock's rule for the path differs from S3's: the path as sent, already encoded, is encoded once
//! more, so `%3A` is signed as `%253A`. Where botocore and `aws-sigv4` differ (a final dot segment,
//! `+` and empty pairs in a query), this follows the crate; no recorded vector touches those. A path
//! and query that are *sent* in canonical form leave nothing to differ about.

use crate::wire::percent::{encode_segment, first_byte, push_encoded};

/// What is signed of a request.
#[derive(Clone, Copy, Debug)]
pub struct Signable<'a> {
    /// As sent.
    pub method: &'a str,
    /// From [`canonical_path`].
    pub canonical_path: &'a [u8],
    /// From [`canonical_query`].
    pub canonical_query: &'a [u8],
    /// Sorted by name. Fields of one name are adjacent and count as one, joined with a comma.
    pub fields: &'a [SignedField<'a>],
    /// The hash of exactly the content that is sent.
    pub content_sha256: &'a [u8; 32],
}

/// One field that the signature covers.
#[derive(Clone, Copy)]
pub struct SignedField<'a> {
    /// In lower case.
    pub name: &'a str,
    /// As sent; leading, trailing and repeated spaces do not count.
    pub value: &'a [u8],
}

/// The name only: a value may be a session token.
impl std::fmt::Debug for SignedField<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedField").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Appends the canonical form of a path as it stands on the wire: dot segments and empty segments
/// removed (RFC 3986 §5.2.4), a trailing slash kept, each segment percent-encoded once more.
pub fn canonical_path(wire_path: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut ends_in_slash = false;
    for segment in wire_path.split(|byte| *byte == b'/') {
        ends_in_slash = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => {
                let parent = out[start..].iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                out.truncate(start + parent);
            }
            segment => {
                out.push(b'/');
                encode_segment(segment, out);
            }
        }
    }
    if ends_in_slash || out.len() == start {
        out.push(b'/');
    }
}

/// Appends the canonical form of a query (what follows `?`): each name and value decoded, encoded
/// again, and sorted by encoded name, then value. A `%` that escapes nothing stands for itself.
///
/// Allocates only if the pairs are not in order already.
pub fn canonical_query(raw: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    for pair in raw.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if out.len() > start {
            out.push(b'&');
        }
        let (name, value) = name_and_value(pair);
        encode_again(name, out);
        out.push(b'=');
        encode_again(value, out);
    }
    let pairs = out[start..].split(|byte| *byte == b'&').map(name_and_value);
    if pairs.is_sorted() {
        return;
    }
    let unsorted = out.split_off(start);
    let mut pairs: Vec<_> = unsorted.split(|byte| *byte == b'&').map(name_and_value).collect();
    pairs.sort_unstable();
    for (at, (name, value)) in pairs.into_iter().enumerate() {
        if at > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

/// Appends the canonical request, whose hash is signed.
///
/// # Panics
/// In debug builds, if the fields are not sorted.
pub fn canonical_request(request: &Signable<'_>, out: &mut Vec<u8>) {
    debug_assert!(request.fields.is_sorted_by_key(|field| field.name), "fields must be sorted");
    for part in [request.method.as_bytes(), request.canonical_path, request.canonical_query] {
        out.extend_from_slice(part);
        out.push(b'\n');
    }
    let mut previous = None;
    for field in request.fields {
        if previous == Some(field.name) {
            out.push(b',');
        } else {
            if previous.is_some() {
                out.push(b'\n');
            }
            out.extend_from_slice(field.name.as_bytes());
            out.push(b':');
        }
        push_collapsed(field.value, out);
        previous = Some(field.name);
    }
    out.extend_from_slice(b"\n\n");
    signed_names(request.fields, out);
    out.push(b'\n');
    write_hex(request.content_sha256, out);
}

/// Appends the names of the signed fields, each once, with `;` between.
pub(super) fn signed_names(fields: &[SignedField<'_>], out: &mut Vec<u8>) {
    let mut previous = None;
    for field in fields {
        if previous == Some(field.name) {
            continue;
        }
        if previous.is_some() {
            out.push(b';');
        }
        out.extend_from_slice(field.name.as_bytes());
        previous = Some(field.name);
    }
}

/// Appends `bytes` in lower-case hexadecimal.
pub fn write_hex(bytes: &[u8; 32], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 64];
    for (place, byte) in text.chunks_exact_mut(2).zip(bytes) {
        place[0] = DIGITS[usize::from(byte >> 4)];
        place[1] = DIGITS[usize::from(byte & 0xf)];
    }
    out.extend_from_slice(&text);
}

/// Appends a value without leading and trailing spaces, runs of spaces as one.
fn push_collapsed(value: &[u8], out: &mut Vec<u8>) {
    if memchr::memchr(b' ', value).is_none() {
        return out.extend_from_slice(value);
    }
    let words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    for (at, word) in words.enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

/// A pair at its first `=`; without one, a name with an empty value.
fn name_and_value(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|byte| *byte == b'=') {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, b""),
    }
}

/// Decodes a query's name or value and encodes it again, byte by byte; `+` stands for a space.
fn encode_again(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        (_, rest) = match (first, first_byte(rest)) {
            (b'+', _) => (push_encoded(b' ', out), tail),
            (_, Ok(Some((byte, tail)))) => (push_encoded(byte, out), tail),
            (byte, _) => (push_encoded(*byte, out), tail),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: fn(&[u8], &mut Vec<u8>), input: &str, expected: &str) {
        let mut out = b"kept".to_vec();
        write(input.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), format!("kept{expected}"), "{input}");
    }

    #[test]
    fn paths_are_normalised_and_encoded_once_more() {
        for (wire, canonical) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/model/a%3Ab/invoke", "/model/a%253Ab/invoke"),
            ("/model/a:b/invoke", "/model/a%3Ab/invoke"),
            ("/sessions/", "/sessions/"),
            ("/sessions//x", "/sessions/x"),
            ("/a/./b/../c", "/a/c"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/../..", "/"),
            ("/a/%2e%2e/b", "/a/%252e%252e/b"),
            ("/a..b/.c", "/a..b/.c"),
            ("/\u{e9} ~", "/%C3%A9%20~"),
        ] {
            check(canonical_path, wire, canonical);
        }
    }

    #[test]
    fn queries_are_sorted_by_encoded_name_then_value() {
        for (raw, canonical) in [
            ("", ""),
            ("maxResults=10&statusEquals=InProgress", "maxResults=10&statusEquals=InProgress"),
            ("b=2&a=1", "a=1&b=2"),
            ("a=2&a=10&a=", "a=&a=10&a=2"),
            ("a-=1&a=2", "a=2&a-=1"),
            ("A=1&a=1&%41=0", "A=0&A=1&a=1"),
            ("flag&b", "b=&flag="),
            ("a=b=c&&=v", "=v&a=b%3Dc"),
            ("a=b+c%20d%2B", "a=b%20c%20d%2B"),
            ("a=%3a%2F/:", "a=%3A%2F%2F%3A"),
            ("a=%zz%", "a=%25zz%25"),
        ] {
            check(canonical_query, raw, canonical);
        }
    }

    #[test]
    fn values_lose_spaces_and_repeated_names_are_joined() {
        let values: [(&str, &[u8]); 4] =
            [("a", b"  x   y "), ("b", b"1"), ("b", b" 2"), ("c", b"   ")];
        let fields = values.map(|(name, value)| SignedField { name, value });
        let request = Signable {
            method: "GET",
            canonical_path: b"/",
            canonical_query: b"",
            fields: &fields,
            content_sha256: &[0xab; 32],
        };
        let expected = format!("GET\n/\n\na:x y\nb:1,2\nc:\n\na;b;c\n{}", "ab".repeat(32));
        let mut out = Vec::new();
        canonical_request(&request, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
