//! What the proxy answers itself: pages, refusals, limits.

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::Options;

use crate::http::{Answer, End, chunks, request};
use crate::proxy::{BEARER, Deployment, INVOKE, Pair, Proxy, under_both_drivers};
use crate::running::free_port;

under_both_drivers!(
    health_needs_no_key_and_says_little,
    models_are_listed_for_those_with_a_key,
    a_wrong_path_or_method_is_refused_as_aws_would,
    content_above_the_limit_is_refused_at_once,
    content_that_grows_above_the_limit_is_refused,
    content_at_the_limit_passes,
    heads_above_the_limit_are_refused,
);

/// A proxy that has nobody to ask: what it answers is its own.
fn alone(driver: DriverChoice) -> Proxy {
    Proxy::plain(driver, ([127, 0, 0, 1], free_port()).into())
}

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

fn health_needs_no_key_and_says_little(driver: DriverChoice) {
    let proxy = alone(driver);
    let mut client = proxy.connect();
    for path in ["/health/liveliness", "/health/readiness"] {
        let target = format!("{path}?probe=1");
        for target in [path, &target] {
            let answer = client.ask(get(target, ""));
            assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{target}");
            answer.check_own();
            let text = answer.json().to_string();
            assert!(!text.contains("claude") && !text.contains("localhost"), "{text}");
        }
        // RFC 9110 §9.3.2: HEAD has GET's fields and no content; the next answer must be in its place.
        let head = get(path, "").replace("GET", "HEAD");
        client.send(head);
        let head = client.head().expect("a head");
        assert!(head.field("content-length").is_some_and(|length| length != "0"));
        let wrong = client.ask(request(&format!("POST {path} HTTP/1.1"), "", b"{}"));
        wrong.check_fault(405, "UnknownOperationException");
        assert_eq!(wrong.head.field("allow"), Some("GET, HEAD"));
    }
    assert_eq!(client.ask(get("/health/readiness", "")).json()["status"], "healthy");
}

fn models_are_listed_for_those_with_a_key(driver: DriverChoice) {
    let at = ([127, 0, 0, 1], free_port()).into();
    let deployments =
        [Deployment::plain(at), Deployment::plain(at).named("a/\u{e9}:1"), Deployment::plain(at)];
    let proxy = Proxy::start(driver, None, &deployments, "");
    let mut client = proxy.connect();
    for path in ["/v1/models", "/models"] {
        client.ask(get(path, "")).check_fault(403, "MissingAuthenticationTokenException");
        let wrong = client.ask(get(path, "api-key: sk-1234\r\n"));
        wrong.check_fault(403, "AccessDeniedException");
        let answer = client.ask(get(path, BEARER));
        assert_eq!((answer.head.status, answer.end), (200, End::Clean));
        answer.check_own();
        let json = answer.json();
        let ids: Vec<_> =
            json["data"].as_array().expect("a list").iter().map(|it| &it["id"]).collect();
        assert_eq!(ids, ["claude", "a/\u{e9}:1"], "each group once, in the file's order");
        assert_eq!(json["data"][0]["object"], "model");
    }
}

fn a_wrong_path_or_method_is_refused_as_aws_would(driver: DriverChoice) {
    let proxy = alone(driver);
    let mut client = proxy.connect();
    let unknown = [
        "/",
        "/bedrock",
        "/bedrock/model/claude",
        "/bedrock/model//invoke",
        "/bedrock/model/claude/explode",
        "/model/claude/invoke",
        "/v1/chat/completions",
        "/health/",
        "/../health/liveliness",
    ];
    for target in unknown {
        let answer = client.ask(request(&format!("POST {target} HTTP/1.1"), BEARER, b"{}"));
        answer.check_fault(404, "UnknownOperationException");
        // Nothing is told to who has no key, not even what exists.
        let answer = client.ask(request(&format!("POST {target} HTTP/1.1"), "", b"{}"));
        answer.check_fault(403, "MissingAuthenticationTokenException");
    }
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = client.ask(request(&INVOKE.replace("POST", method), BEARER, b""));
        answer.check_fault(405, "UnknownOperationException");
        assert_eq!(answer.head.field("allow"), Some("POST"), "{method}");
    }
    let broken = INVOKE.replace("claude", "cl%zzude");
    client.ask(request(&broken, BEARER, b"{}")).check_fault(400, "ValidationException");
    client.check_closed();
}

const LIMIT: usize = 1 << 20;

fn limited(driver: DriverChoice) -> Pair {
    let general = "  max_request_size_mb: 1\n";
    Pair::with(driver, Options::default(), |it| vec![it], general)
}

fn check_too_large(answer: &Answer) {
    answer.check_fault(413, "RequestEntityTooLargeException");
    assert_eq!(answer.head.field("connection"), Some("close"));
}

fn content_above_the_limit_is_refused_at_once(driver: DriverChoice) {
    let pair = limited(driver);
    for length in [LIMIT as u64 + 1, u64::from(u32::MAX) + 7, i64::MAX as u64] {
        let mut client = pair.proxy.connect();
        let head = format!("{INVOKE}\r\nHost: a\r\n{BEARER}Content-Length: {length}\r\n\r\n");
        check_too_large(&client.ask(head)); // not one byte of content was sent
        client.check_closed();
    }
    assert_eq!(pair.stand_in.record().connections(), 0);
}

fn content_that_grows_above_the_limit_is_refused(driver: DriverChoice) {
    let pair = limited(driver);
    let mut client = pair.proxy.connect();
    client.send(format!("{INVOKE}\r\nHost: a\r\n{BEARER}Transfer-Encoding: chunked\r\n\r\n"));
    client.send(chunks(&vec![b'x'; LIMIT], &[10_000], ""));
    client.send("1\r\nx\r\n"); // and no last chunk: it is refused all the same
    check_too_large(&client.answer());
    client.check_closed();
    assert_eq!(pair.stand_in.record().connections(), 0);
}

fn content_at_the_limit_passes(driver: DriverChoice) {
    let pair = limited(driver);
    let mut client = pair.proxy.connect();
    let content = vec![b'x'; LIMIT];
    let chunked = crate::http::chunked_request(INVOKE, BEARER, &content, &[9_999], ("", ""));
    for whole in [request(INVOKE, BEARER, &content), chunked] {
        assert_eq!(client.ask(whole).head.status, 200);
    }
}

fn heads_above_the_limit_are_refused(driver: DriverChoice) {
    const HEAD_MAX: usize = 64 * 1024;
    let pair = Pair::start(driver);
    let padded = |length: usize| {
        let fields = |pad: usize| format!("{BEARER}X-Pad: {}\r\n", "p".repeat(pad));
        let without = request(INVOKE, &fields(0), b"{}").len() - 2;
        request(INVOKE, &fields(length - without), b"{}")
    };
    assert_eq!(pair.proxy.connect().ask(padded(HEAD_MAX)).head.status, 200);
    let mut too_large = padded(HEAD_MAX + 1);
    too_large.truncate(HEAD_MAX + 1);
    let fields = format!("{BEARER}{}", "a: b\r\n".repeat(101));
    let target = INVOKE.replace("claude", &"c".repeat(17_000));
    let cases = [
        (too_large, 431),
        (request(INVOKE, &fields, b""), 431),
        (request(&target, BEARER, b""), 414),
    ];
    for (head, status) in cases {
        let mut client = pair.proxy.connect();
        client.ask(head).check_fault(status, "ValidationException");
        client.check_closed();
    }
    assert_eq!(pair.stand_in.record().requests(), 1);
}
