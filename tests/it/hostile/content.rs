//! Answers given before the content was read (C10, C11, C13), pipelines (C5), HTTP/1.0 (C20), and requests
//! cut into single bytes: the connection stays in step, or it closes.

use super::rig::{INVOKE, KEY, check_well, good, invoke, plain, plain_with};

/// What hides in content: if it is ever executed, the stand-in has one request more.
fn hidden() -> String {
    String::from_utf8(good()).expect("ASCII")
}

fn early(method: &str, target: &str, key: &str, fields: &str, content: &str) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{fields}\r\n{content}")
        .into_bytes()
}

#[test]
fn small_content_nobody_wants_keeps_the_connection_in_step() {
    let (stand_in, proxy) = plain();
    let hidden = hidden();
    let plain_length = format!("Content-Length: {}\r\n", hidden.len());
    let chunks = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
    for (method, target, key, status) in [
        ("POST", INVOKE, "wrong", 403),
        ("POST", "/bedrock/model/other/invoke", KEY, 404),
        ("POST", "/nowhere", KEY, 404),
        ("PUT", INVOKE, KEY, 405),
        ("GET", "/v1/models", KEY, 200),
        ("GET", "/health/liveliness", "", 200),
    ] {
        let before = stand_in.record().requests();
        let mut client = proxy.client();
        client.send(&early(method, target, key, &plain_length, &hidden));
        client.send(&early(method, target, key, "Transfer-Encoding: chunked\r\n", &chunks));
        client.send(&good());
        for expected in [status, status, 200] {
            let answer = client.answer().whole(target);
            assert_eq!(answer.status, expected, "{method} {target}");
        }
        assert_eq!(stand_in.record().requests(), before + 1, "{method} {target}");
    }
    check_well(&(stand_in, proxy));
}

#[test]
fn large_or_broken_content_nobody_wants_ends_the_connection() {
    let (stand_in, proxy) = plain();
    let large = hidden().repeat(1_000); // over 64 KiB, of whole requests
    let length = format!("Content-Length: {}\r\n", large.len());
    let chunked = "Transfer-Encoding: chunked\r\n";
    let chunks = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let broken = format!("-1\r\n{}", hidden());
    for (fields, content) in [(length.as_str(), &large), (chunked, &chunks), (chunked, &broken)] {
        for (target, key, status) in
            [(INVOKE, "wrong", 403), ("/nowhere", KEY, 404), ("/bedrock/model/x/invoke", KEY, 404)]
        {
            let mut client = proxy.client();
            client.send(&early("POST", target, key, fields, content));
            let answer = client.answer().whole(target);
            assert_eq!(
                (answer.status, answer.field("connection")),
                (status, Some("close")),
                "{target}"
            );
            client.check_closed(target);
        }
    }
    assert_eq!(stand_in.record().requests(), 0);
    check_well(&(stand_in, proxy));
}

#[test]
fn content_over_the_limit_is_refused_at_once() {
    let (stand_in, proxy) = plain_with("  max_request_size_mb: 1\n");
    let megabyte = "x".repeat(1024 * 1024);
    for (case, fields, content) in [
        ("10 GB announced", "Content-Length: 10000000000\r\n", ""),
        (
            "10 GB announced, and asked for",
            "Expect: 100-continue\r\nContent-Length: 10000000000\r\n",
            "",
        ),
        ("a byte more, announced", "Content-Length: 1048577\r\n", ""),
    ] {
        let mut client = proxy.client();
        client.send(&invoke(fields, content));
        let answer = client.answer().whole(case);
        assert_eq!((answer.status, answer.field("connection")), (413, Some("close")), "{case}");
        client.check_closed(case);
    }
    let mut client = proxy.client();
    client.send(&invoke("Transfer-Encoding: chunked\r\n", &format!("100001\r\n{megabyte}x\r\n")));
    assert_eq!(client.answer().whole("a byte more, in chunks").status, 413);
    client.check_closed("a byte more, in chunks");
    assert_eq!(stand_in.record().requests(), 0);
    let mut client = proxy.client();
    client.send(&invoke(
        "Transfer-Encoding: chunked\r\n",
        &format!("100000\r\n{megabyte}\r\n0\r\n\r\n"),
    ));
    assert_eq!(client.answer().whole("to the byte").status, 200);
}

#[test]
fn expectations_never_desynchronise() {
    let (stand_in, proxy) = plain();
    for (expect, status) in [
        ("100-continue", 200),
        ("100-Continue", 200),
        ("", 417),
        ("100-continue, 100-continue", 417),
        ("y 100-continue", 417),
        ("100-continue; q=1", 417),
        ("200-ok", 417),
    ] {
        let mut client = proxy.client();
        let request = invoke(&format!("Expect: {expect}\r\nContent-Length: 2\r\n"), "{}");
        client.send(&[request, good()].concat());
        assert_eq!(client.answer().whole(expect).status, status, "{expect}");
        assert_eq!(client.answer().whole(expect).status, 200, "{expect}");
    }
    let mut client = proxy.client();
    let refused =
        early("POST", "/nowhere", KEY, "Expect: 100-continue\r\nContent-Length: 2\r\n", "");
    client.send(&[refused, good()].concat());
    let answer = client.answer().whole("refused");
    assert_eq!((answer.status, answer.field("connection")), (404, Some("close")));
    client.check_closed("the content may or may not follow");
    check_well(&(stand_in, proxy));
}

#[test]
fn pipelined_requests_are_answered_in_turn_and_none_after_a_close() {
    let (stand_in, proxy) = plain();
    let page = b"GET /health/liveliness HTTP/1.1\r\nHost: x\r\n\r\n";
    let missing = early("GET", "/nowhere", KEY, "", "");
    let stream =
        String::from_utf8(good()).unwrap().replace("/invoke ", "/invoke-with-response-stream ");
    let round = [&good()[..], page, stream.as_bytes(), &missing, b"\r\n"].concat();
    let mut client = proxy.client();
    client.send(&round.repeat(20));
    for _ in 0..20 {
        for expected in [200, 200, 200, 404] {
            assert_eq!(client.answer().whole("a pipeline").status, expected);
        }
    }
    assert_eq!(stand_in.record().requests(), 40);

    for last in
        ["Connection: close\r\n", "Connection: keep-alive, Close\r\n", "connection:\tx,\tCLOSE\r\n"]
    {
        let before = stand_in.record().requests();
        let mut client = proxy.client();
        client.send(&[invoke(&format!("{last}Content-Length: 2\r\n"), "{}"), good()].concat());
        assert_eq!(client.answer().whole(last).status, 200);
        client.check_closed(last);
        assert_eq!(stand_in.record().requests(), before + 1, "{last}");
    }
    check_well(&(stand_in, proxy));
}

#[test]
fn http_1_0_gets_no_chunks_and_no_interim_answer() {
    let (stand_in, proxy) = plain();
    let old = |fields: &str, action: &str| {
        let request = invoke(&format!("{fields}Content-Length: 2\r\n"), "{}");
        let request = String::from_utf8(request).unwrap().replace("HTTP/1.1", "HTTP/1.0");
        request.replace("/invoke ", &format!("/{action} "))
    };
    let mut client = proxy.client();
    client.send(format!("{}{}", old("", "invoke"), old("", "invoke")).as_bytes());
    assert_eq!(client.answer().whole("once").status, 200);
    client.check_closed("HTTP/1.0 closes");

    let mut client = proxy.client();
    client.send(old("Expect: 100-continue\r\n", "invoke-with-response-stream").as_bytes());
    let answer = client.answer().whole("a stream");
    assert_eq!((answer.status, answer.field("transfer-encoding")), (200, None));
    assert!(answer.content.len() > 100);
    client.check_closed("a stream");

    let mut client = proxy.client();
    client.send(old("Connection: keep-alive\r\n", "invoke").repeat(2).as_bytes());
    for _ in 0..2 {
        let answer = client.answer().whole("kept");
        assert_eq!((answer.status, answer.field("connection")), (200, Some("keep-alive")));
    }
    // Without a Host field, which HTTP/1.0 does not know.
    let mut client = proxy.client();
    client.send(b"GET /health/liveliness HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer().whole("no host").status, 200);
    check_well(&(stand_in, proxy));
}

/// Every byte is a segment and a receive of its own; head, chunks and the next request alike.
#[test]
fn single_bytes_make_the_same_request() {
    let (stand_in, proxy) = plain();
    let chunks =
        invoke("Transfer-Encoding: chunked\r\n", "1;x\r\n{\r\n1\r\n}\r\n0\r\nx: y\r\n\r\n");
    let mut client = proxy.client();
    client.send_each_byte(&[good(), chunks.clone(), good()].concat());
    for _ in 0..3 {
        let answer = client.answer().whole("single bytes");
        assert_eq!(answer.status, 200);
        let seen = stand_in.record().last().expect("a request");
        assert_eq!(
            seen.content_sha256,
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }
    for at in 1..chunks.len() {
        let mut client = proxy.client();
        client.send(&chunks[..at]);
        client.send(&chunks[at..]);
        assert_eq!(client.answer().whole("two pieces").status, 200, "cut at {at}");
    }
    let mut client = proxy.client();
    client.send_each_byte(&invoke("Content-Length: 2\r\nContent-Length: 2\r\n", ""));
    assert_eq!(client.answer().whole("single bytes, refused").status, 400);
    client.check_closed("single bytes, refused");
    check_well(&(stand_in, proxy));
}
