//! Heads between the two versions: a request's becomes one of HTTP/1.1, byte for byte what a client of that
//! would have sent, and an answer's the fields of HTTP/2.
//!
//! So one parser and one set of rules judge all requests. What could make the rendered head say something else
//! than the client's frames did (a line end, a space in the target, a second host) is malformed (RFC 9113 §8.1.1).

use http::{HeaderName, HeaderValue, Response, StatusCode, header, request::Parts};

use crate::wire::http1::{
    emit,
    head::{FieldStorage, parse_answer},
};

/// A request that is none: its stream is reset.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed;

/// Fields of one connection, which HTTP/2 does not have (RFC 9113 §8.2.2).
const FORBIDDEN: [&str; 5] =
    ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"];

/// Appends the head that `parts` are in HTTP/1.1. Content whose length it does not tell comes in chunks:
/// whether it does is what is returned.
///
/// # Errors
/// [`Malformed`]; `out` is not to be used.
pub fn write_request(
    parts: &Parts,
    has_content: bool,
    out: &mut Vec<u8>,
) -> Result<bool, Malformed> {
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let is_connect = parts.method == http::Method::CONNECT;
    let target = match parts.uri.path_and_query() {
        Some(path) if !is_connect => path.as_str().as_bytes(),
        _ if is_connect => authority.ok_or(Malformed)?,
        _ => return Err(Malformed),
    };
    let is_plain = target.iter().all(u8::is_ascii_graphic);
    if !is_plain || !(is_connect || target.starts_with(b"/") || target == b"*") {
        return Err(Malformed);
    }
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_host(parts, authority, out)?;
    let mut is_measured = false;
    for (name, value) in &parts.headers {
        let (name, value) = (name.as_str(), value.as_bytes());
        let is_te = name == "te" && !value.eq_ignore_ascii_case(b"trailers");
        if FORBIDDEN.contains(&name) || is_te || !is_value(value) {
            return Err(Malformed);
        }
        is_measured |= name == "content-length";
        if name != "host" {
            emit::field(out, name, value);
        }
    }
    let is_chunked = has_content && !is_measured;
    if is_chunked {
        emit::field(out, "transfer-encoding", b"chunked");
    }
    out.extend_from_slice(b"\r\n");
    Ok(is_chunked)
}

/// `:authority`, or `host` in its place; both, if they agree (RFC 9113 §8.3.1).
fn write_host(parts: &Parts, authority: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = hosts.next().map(HeaderValue::as_bytes);
    let is_ambiguous = matches!((authority, host), (Some(authority), Some(host))
        if !authority.eq_ignore_ascii_case(host));
    let Some(value) = authority.or(host) else { return Ok(()) };
    let is_plain = value.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'@');
    if hosts.next().is_some() || is_ambiguous || !is_plain {
        return Err(Malformed);
    }
    emit::field(out, "host", value);
    Ok(())
}

/// No line end, no NUL, and no space around it (RFC 9113 §8.2.1).
fn is_value(value: &[u8]) -> bool {
    value.iter().all(|byte| !byte.is_ascii_control() || *byte == b'\t')
        && value.trim_ascii().len() == value.len()
}

/// What [`Client::send`] was given, at the start of `bytes`: a head of ours, and its length.
///
/// [`Client::send`]: crate::data_plane::connection::Client::send
///
/// # Errors
/// [`Malformed`]: it is none, which is our own fault.
pub fn read_answer(bytes: &[u8]) -> Result<(Response<()>, usize), Malformed> {
    let mut storage = FieldStorage::new();
    let head = parse_answer(bytes, &mut storage).ok().flatten().ok_or(Malformed)?;
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::from_u16(head.status).map_err(|_| Malformed)?;
    for (name, value) in head.fields.iter() {
        if FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden)) {
            continue;
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Malformed)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| Malformed)?;
        answer.headers_mut().append(name, value);
    }
    Ok((answer, head.length))
}

#[cfg(test)]
mod tests {
    use http::{Request, Uri};

    use super::*;

    fn parts(method: &str, uri: &str, fields: &[(&str, &[u8])]) -> Parts {
        let uri: Uri = uri.parse().expect("a URI");
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            let value = HeaderValue::from_bytes(value).expect("a value");
            request = request.header(*name, value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn check(request: (&str, &str, &[(&str, &[u8])]), has_content: bool, expected: Option<&str>) {
        let (method, uri, fields) = request;
        let mut out = Vec::new();
        let written = write_request(&parts(method, uri, fields), has_content, &mut out);
        let written = written.ok().map(|_| String::from_utf8(out).expect("text"));
        assert_eq!(written.as_deref(), expected, "{request:?}");
    }

    #[test]
    fn a_request_becomes_what_http_1_1_would_have_said() {
        let get = "GET /bedrock/model/a%3A0/invoke?b=%2F HTTP/1.1\r\nhost: proxy:4000\r\naccept: */*\r\n\r\n";
        let uri = "http://proxy:4000/bedrock/model/a%3A0/invoke?b=%2F";
        check(("GET", uri, &[("accept", b"*/*")]), false, Some(get));
        let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n";
        check(("POST", "http://a/", &[("content-length", b"2")]), true, Some(post));
        let chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        check(("POST", "http://a/", &[]), true, Some(chunked));
        let host = "GET /x HTTP/1.1\r\nhost: b\r\n\r\n";
        check(("GET", "/x", &[("host", b"b")]), false, Some(host));
        check(
            ("GET", "http://b/x", &[("host", b"B")]),
            false,
            Some("GET /x HTTP/1.1\r\nhost: b\r\n\r\n"),
        );
        check(("CONNECT", "a:1", &[]), false, Some("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n"));
        check(
            ("GET", "http://a/", &[("te", b"trailers")]),
            false,
            Some("GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\r\n"),
        );
    }

    #[test]
    fn what_could_say_two_things_is_malformed() {
        for name in FORBIDDEN {
            check(("GET", "http://a/", &[(name, b"x")]), false, None);
        }
        check(("GET", "http://a/", &[("te", b"gzip")]), false, None);
        check(("GET", "http://a/", &[("host", b"b")]), false, None);
        check(("GET", "/", &[("host", b"a"), ("host", b"a")]), false, None);
        check(("GET", "/", &[("host", b"a b")]), false, None);
        check(("GET", "http://user@a/", &[]), false, None);
        check(("GET", "http://a/", &[("x", b" y")]), false, None);
        check(("GET", "http://a/", &[("x", b"y\t")]), false, None);
        check(("GET", "http://a/\u{e4}", &[]), false, None);
        for bad in [&b"a\r\nb"[..], b"a\nb", b"a\0b"] {
            assert!(!is_value(bad) && HeaderValue::from_bytes(bad).is_err());
        }
    }

    #[test]
    fn an_answer_keeps_all_but_its_connections_fields() {
        let head = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\nConnection: close\r\n\
                     transfer-encoding: chunked\r\nset-cookie: a\r\nset-cookie: b\r\n\r\nrest";
        let (answer, length) = read_answer(head).expect("a head");
        assert_eq!((answer.status().as_u16(), &head[length..]), (429, &b"rest"[..]));
        let fields: Vec<_> = answer.headers().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(fields, ["retry-after", "set-cookie", "set-cookie"]);
        assert_eq!(read_answer(b"HTTP/1.1 200 OK\r\n").err(), Some(Malformed));
    }
}
