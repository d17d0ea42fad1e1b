//! A stream's head as HTTP/1.1 would have it.
//!
//! What it is made of came through the codec's own checks (RFC 9113 §8.2, §8.3): names in lower case, no line breaks,
//! no fields that are a connection's own. It is judged once more by the parser that judges all heads, so
//! that nothing which is refused there passes here.

use http::{header, request::Parts};

/// Appends the head; whether the content that follows is chunked.
pub fn render(parts: &Parts, has_ended: bool, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.push(b' ');
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    match parts.uri.path_and_query() {
        Some(target) => out.extend_from_slice(target.as_str().as_bytes()),
        None => out.extend_from_slice(authority.unwrap_or("*").as_bytes()), // CONNECT
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if let Some(authority) = authority {
        field("host", authority.as_bytes(), out);
    }
    for (name, value) in &parts.headers {
        let is_known = name == header::HOST
            && authority.is_some_and(|authority| authority.as_bytes() == value.as_bytes());
        // Content comes when it comes: a stream has no 100 Continue to wait for.
        if !is_known && name != header::EXPECT && name != header::TE {
            field(name.as_str(), value.as_bytes(), out);
        }
    }
    let is_chunked = !has_ended && !parts.headers.contains_key(header::CONTENT_LENGTH);
    if is_chunked {
        field("transfer-encoding", b"chunked", out);
    }
    out.extend_from_slice(b"\r\n");
    is_chunked
}

fn field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http1::{
        framing::{Framing, of_request},
        head::{FieldStorage, parse_request},
    };

    fn rendered(request: http::Request<()>, has_ended: bool) -> Vec<u8> {
        let mut out = Vec::new();
        render(&request.into_parts().0, has_ended, &mut out);
        out
    }

    /// What the parser of all heads makes of it.
    fn framing(bytes: &[u8]) -> Option<Framing> {
        let mut storage = FieldStorage::new();
        let head = parse_request(bytes, &mut storage).ok()??;
        assert_eq!(head.length, bytes.len(), "it ends where the head ends");
        of_request(head.version, &head.fields).ok()
    }

    #[test]
    fn a_head_reads_as_it_was_sent() {
        let request = http::Request::post("http://proxy:4000/bedrock/model/a%2Fb/converse?x=1")
            .header("authorization", "Bearer sk")
            .header("x-a", "1")
            .header("x-a", "2");
        let request = request.body(()).unwrap();
        assert_eq!(
            str::from_utf8(&rendered(request.clone(), false)),
            Ok("POST /bedrock/model/a%2Fb/converse?x=1 HTTP/1.1\r\nhost: proxy:4000\r\n\
                authorization: Bearer sk\r\nx-a: 1\r\nx-a: 2\r\ntransfer-encoding: chunked\r\n\r\n")
        );
        assert_eq!(framing(&rendered(request.clone(), false)), Some(Framing::Chunked));
        assert_eq!(framing(&rendered(request, true)), Some(Framing::Length(0)));
    }

    #[test]
    fn what_is_said_twice_is_refused_unless_it_is_the_same() {
        let with = |name: &str, value: &str| {
            let request = http::Request::post("http://proxy/x").header(name, value);
            framing(&rendered(request.body(()).unwrap(), false))
        };
        assert_eq!(with("host", "proxy"), Some(Framing::Chunked));
        assert_eq!(with("host", "other"), None);
        assert_eq!(with("content-length", "5"), Some(Framing::Length(5)));
        assert_eq!(with("content-length", "5, 6"), None);
        assert_eq!(with("expect", "100-continue"), Some(Framing::Chunked));
    }
}
