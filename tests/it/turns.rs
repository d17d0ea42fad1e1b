//! One connection, many requests: each in its turn, none twice, none after the end.

use outcrop::control_plane::config::DriverChoice;

use crate::http::{Answer, End, request};
use crate::proxy::{BEARER, INVOKE, Pair, STREAM, under_both_drivers};

under_both_drivers!(
    ten_requests_in_one_write_are_answered_in_order,
    a_request_behind_a_stream_waits_for_its_turn,
    refusals_and_pages_take_their_turn_too,
    nothing_is_executed_after_a_close,
    http_1_0_closes_unless_asked_not_to,
    content_is_awaited_with_100_continue,
    content_that_came_already_gets_no_100,
    a_refusal_comes_instead_of_100,
    content_is_never_taken_for_a_request,
);

fn numbered(line: &str, number: usize, more: &str) -> Vec<u8> {
    let fields = format!("{BEARER}x-litellm-call-id: call-{number}\r\n{more}");
    request(line, &fields, format!("{{\"n\":{number}}}").as_bytes())
}

fn check_numbered(answer: &Answer, number: usize) {
    assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{:?}", answer.head);
    let expected = format!("call-{number}");
    assert_eq!(answer.head.field("x-litellm-call-id"), Some(expected.as_str()));
}

fn ten_requests_in_one_write_are_answered_in_order(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let mut client = pair.proxy.connect();
    let size = |number: usize| number * 1_777;
    let one = |number| {
        let mock = format!("X-Amzn-Bedrock-Mock: answer_bytes={}\r\n", size(number));
        numbered(INVOKE, number, &mock)
    };
    client.send((0..10).flat_map(one).collect::<Vec<u8>>());
    for number in 0..10 {
        let answer = client.answer();
        check_numbered(&answer, number);
        assert_eq!(answer.content.len(), size(number));
    }
    assert_eq!(pair.stand_in.record().requests(), 10);
    assert_eq!(pair.stand_in.record().connections(), 1, "one after the other");
}

fn a_request_behind_a_stream_waits_for_its_turn(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let mut client = pair.proxy.connect();
    let mut both = numbered(STREAM, 1, "X-Amzn-Bedrock-Mock: frames=3; gate\r\n");
    both.extend(numbered(INVOKE, 2, ""));
    client.send(both);
    let head = client.head().expect("a head");
    pair.stand_in.release_frames(2);
    client.chunk().expect("a chunk");
    assert_eq!(pair.stand_in.record().requests(), 1);
    pair.stand_in.release_frames(1000);
    let (mut content, end) = (Vec::new(), End::Clean);
    assert_eq!(client.content(&head, &mut content), end);
    check_numbered(&client.answer(), 2);
}

fn refusals_and_pages_take_their_turn_too(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let mut client = pair.proxy.connect();
    let unknown = INVOKE.replace("claude", "nobody");
    let mut all = numbered(INVOKE, 1, "");
    all.extend(numbered(&unknown, 2, ""));
    all.extend(request(INVOKE, "", &[b'x'; 30_000]));
    all.extend(b"GET /health/liveliness HTTP/1.1\r\nHost: a\r\n\r\n");
    all.extend(b"HEAD /v1/models HTTP/1.1\r\nHost: a\r\n");
    all.extend(format!("{BEARER}\r\n").bytes());
    all.extend(numbered(INVOKE, 3, ""));
    client.send(all);
    check_numbered(&client.answer(), 1);
    client.answer().check_fault(404, "ResourceNotFoundException");
    client.answer().check_fault(403, "MissingAuthenticationTokenException");
    assert_eq!(client.answer().content, b"\"I'm alive!\"");
    assert_eq!(client.head().expect("of HEAD").status, 200);
    check_numbered(&client.answer(), 3);
}

fn nothing_is_executed_after_a_close(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let old = INVOKE.replace("HTTP/1.1", "HTTP/1.0");
    let closing =
        [(INVOKE, "Connection: close\r\n"), (INVOKE, "Connection: x, CLOSE\r\n"), (&old, "")];
    for (count, (line, fields)) in (1..).zip(closing) {
        let mut client = pair.proxy.connect();
        let mut both = numbered(line, 1, fields);
        both.extend(numbered(INVOKE, 2, ""));
        client.send(both);
        let answer = client.answer();
        check_numbered(&answer, 1);
        let expected = if line == INVOKE { Some("close") } else { None };
        assert_eq!(answer.head.field("connection"), expected, "{line}");
        client.check_closed();
        assert_eq!(pair.stand_in.record().requests(), count, "the second one was not asked for");
    }
}

fn http_1_0_closes_unless_asked_not_to(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let old = INVOKE.replace("HTTP/1.1", "HTTP/1.0");
    let mut client = pair.proxy.connect();
    for number in 0..3 {
        let answer = client.ask(numbered(&old, number, "Connection: Keep-Alive\r\n"));
        check_numbered(&answer, number);
        assert_eq!(answer.head.field("connection"), Some("keep-alive"));
        assert!(answer.head.field("content-length").is_some(), "or it could not stay open");
    }
    check_numbered(&client.ask(numbered(&old, 3, "")), 3);
    client.check_closed();
    // A stream has no length: an old client is told its end by the close, whatever it asked for.
    let mut client = pair.proxy.connect();
    let stream = STREAM.replace("HTTP/1.1", "HTTP/1.0");
    let answer = client.ask(numbered(&stream, 4, "Connection: keep-alive\r\n"));
    check_numbered(&answer, 4);
    assert_ne!(answer.head.field("connection"), Some("keep-alive"));
    client.check_closed();
    let page = b"GET /health/readiness HTTP/1.0\r\n\r\n";
    let mut client = pair.proxy.connect();
    assert_eq!(client.ask(page).head.status, 200, "no Host is needed in HTTP/1.0");
    client.check_closed();
}

/// A request's head and content apart.
fn in_two(fields: &str, content: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut head = request(INVOKE, &format!("{BEARER}Expect: 100-Continue\r\n{fields}"), content);
    let content = head.split_off(head.len() - content.len());
    (head, content)
}

fn content_is_awaited_with_100_continue(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let mut client = pair.proxy.connect();
    for _ in 0..2 {
        let (head, content) = in_two("", &[b'x'; 100_000]);
        client.send(head);
        let interim = client.head().expect("an interim answer");
        assert_eq!((interim.status, interim.fields.len()), (100, 0), "before any content was sent");
        let answer = client.ask(content);
        assert_eq!((answer.head.status, answer.end), (200, End::Clean));
        let seen = pair.stand_in.record().last().expect("a request");
        assert_eq!(seen.content_length, 100_000);
    }
    // Chunked, too.
    let fields = format!("{BEARER}Expect: 100-continue\r\n");
    client.send(format!("{INVOKE}\r\nHost: a\r\n{fields}Transfer-Encoding: chunked\r\n\r\n"));
    assert_eq!(client.head().expect("an interim answer").status, 100);
    assert_eq!(client.ask("2\r\n{}\r\n0\r\n\r\n").head.status, 200);
}

fn content_that_came_already_gets_no_100(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let mut client = pair.proxy.connect();
    let (head, content) = in_two("", b"{}");
    client.send([head, content].concat());
    let answer = client.head().expect("a head");
    assert_eq!(answer.status, 200);
    assert_eq!(client.content(&answer, &mut Vec::new()), End::Clean);
    // A client of HTTP/1.0 would not know what to make of it (RFC 9110 §10.1.1).
    let (head, content) = in_two("", b"{}");
    let old = String::from_utf8(head).expect("ASCII").replace("HTTP/1.1", "HTTP/1.0");
    let mut client = pair.proxy.connect();
    client.send(old);
    client.send(content);
    assert_eq!(client.head().expect("a head").status, 200);
}

fn a_refusal_comes_instead_of_100(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let claim = |line: &str, key: &str, length: u64, expect: &str| {
        format!("{line}\r\nHost: a\r\n{key}Expect: {expect}\r\nContent-Length: {length}\r\n\r\n")
    };
    let unknown = INVOKE.replace("claude", "nobody");
    let cases = [
        (claim(INVOKE, BEARER, 64 << 20, "100-continue"), 413, "RequestEntityTooLargeException"),
        (claim(&unknown, BEARER, 10, "100-continue"), 404, "ResourceNotFoundException"),
        (claim(INVOKE, "", 10, "100-continue"), 403, "MissingAuthenticationTokenException"),
        (claim(INVOKE, BEARER, 10, "tea"), 417, "ValidationException"),
    ];
    for (head, status, error_type) in cases {
        let mut client = pair.proxy.connect();
        client.send(head);
        let head = client.head().expect("a head");
        let mut content = Vec::new();
        let end = client.content(&head, &mut content);
        Answer { head, content, end }.check_fault(status, error_type);
    }
    assert_eq!(pair.stand_in.record().requests(), 0);
}

/// Refused content that looks like a request, of every framing and at every size, is not one.
fn content_is_never_taken_for_a_request(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let evil = numbered(INVOKE, 666, "");
    let unknown = INVOKE.replace("claude", "nobody");
    for copies in [1, 100, 1000] {
        let content = evil.repeat(copies);
        let mut client = pair.proxy.connect();
        // It may be cut off while it still sends: then the answer may be lost, which is not at issue here.
        if client.try_send(request(&unknown, BEARER, &content)) && copies == 1 {
            client.answer().check_fault(404, "ResourceNotFoundException");
            check_numbered(&client.ask(numbered(INVOKE, 2, "")), 2);
        }
    }
    let seen = pair.stand_in.record().seen();
    assert_eq!(seen.len(), 1, "the one that was asked for");
}
