//! Methods and targets (C14–C17): matched raw, decoded once, looked up exactly; what goes upstream is the
//! configured model's own path and nothing of the client's.

use outcrop::mock_bedrock::StandIn;

use super::rig::{Answer, INVOKE, KEY, MODEL, Proxy, check_well, good, plain};

/// Well-formed targets that are nothing to us, however much they look like it.
const UNKNOWN: [&str; 57] = [
    "/",
    "/bedrock",
    "/bedrock/model",
    "/bedrock/model//invoke",
    "/bedrock/model/invoke",
    "/bedrock/model/other/invoke",
    "/bedrock/model/Claude/invoke",
    "/bedrock/model/claude/invoke/",
    "/bedrock/model/claude/invoke//",
    "/bedrock/model/claude//invoke",
    "/bedrock/model//claude/invoke",
    "//bedrock/model/claude/invoke",
    "/bedrock//model/claude/invoke",
    "/BEDROCK/model/claude/invoke",
    "/bedrock/model/claude/Invoke",
    "/bedrock/model/claude/invoke;x=y",
    "/bedrock/model/claude;x=y/invoke",
    "/bedrock/model/claude/inv%6fke",
    "/bedrock/model/claude/invoke%20",
    "/bedrock/model/claude/invoke%3Fx",
    "/bedrock/model/claude/invoke%2F",
    "/bedrock%2Fmodel%2Fclaude%2Finvoke",
    "/bedrock/model/claude%2Finvoke",
    "/bedrock/mod%65l/claude/invoke",
    "/bedrock/model/./claude/invoke",
    "/bedrock/model/claude/./invoke",
    "/bedrock/model/claude/../claude/invoke",
    "/bedrock/model/../model/claude/invoke",
    "/bedrock/model/../../model/claude/invoke",
    "/x/../bedrock/model/claude/invoke",
    "/bedrock/model/%2e/claude/invoke",
    "/bedrock/model/%2e%2e/invoke",
    "/bedrock/model/%2E%2E%2Fmodel%2Fclaude/invoke",
    "/bedrock/model/..%2fmodel%2fclaude/invoke",
    "/bedrock/model/%252e%252e/invoke",
    "/bedrock/model/%2563laude/invoke",
    "/bedrock/model/claude%00/invoke",
    "/bedrock/model/claude%00.json/invoke",
    "/bedrock/model/claude%0d%0aX-Evil:%20y/invoke",
    "/bedrock/model/claude%0a/invoke",
    "/bedrock/model/claude%20/invoke",
    "/bedrock/model/claude+/invoke",
    "/bedrock/model/%c0%afclaude/invoke",
    "/bedrock/model/%c1%a3laude/invoke",
    "/bedrock/model/%ff%fe/invoke",
    "/bedrock/model/team%252Fclaude/invoke",
    "/bedrock/model/team//claude/invoke",
    "/bedrock/model/team%5Cclaude/invoke",
    "/bedrock/model/team\\claude/invoke",
    "/bedrock/model/claude/invoke/../converse-stream/x",
    "/bedrock/model/claude/count-token",
    "/bedrock/model/claude/invoke#fragment",
    "/model/claude/invoke",
    "http://x",
    "http://x?y",
    "*",
    "bedrock/model/claude/invoke",
];

fn ask(proxy: &Proxy, method: &str, target: &str) -> Answer {
    let mut client = proxy.client();
    client.send(
        format!(
            "{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 2\r\n\r\n{{}}"
        )
        .as_bytes(),
    );
    client.answer_to(method).whole(target)
}

/// The path that the last request had upstream.
fn path(stand_in: &StandIn) -> String {
    stand_in.record().last().expect("a request").raw_path
}

fn wire_path(action: &str) -> String {
    format!("/model/{}/{action}", MODEL.replace(':', "%3A"))
}

#[test]
fn targets_that_name_nothing_go_nowhere() {
    let (stand_in, proxy) = plain();
    for target in UNKNOWN {
        let answer = ask(&proxy, "POST", target);
        assert_eq!(answer.status, 404, "{target}: {}", answer.head);
        answer.check_fault(target);
    }
    for target in [
        "/bedrock/model/%/invoke",
        "/bedrock/model/claude%/invoke",
        "/bedrock/model/claude%6/invoke",
        "/bedrock/model/claude%zz/invoke",
        "/bedrock/model/%u0063laude/invoke",
        "/bedrock/model/claude/invoke?a#b",
        "/bedrock/model/claude/invoke?a=%",
        "/bedrock/model/claude/invoke?a=\"<>\\^`{|}",
        "http:///bedrock/model/claude/invoke",
        "http://user@x/bedrock/model/claude/invoke",
        "http://x:y/bedrock/model/claude/invoke",
        "http://a%/bedrock/model/claude/invoke",
    ] {
        let answer = ask(&proxy, "POST", target);
        assert_eq!(answer.status, 400, "{target}: {}", answer.head);
        answer.check_fault(target);
    }
    assert_eq!(stand_in.record().requests(), 0);
    check_well(&(stand_in, proxy));
}

#[test]
fn what_goes_upstream_is_the_configured_path() {
    let (stand_in, proxy) = plain();
    for target in [
        INVOKE,
        "/bedrock/model/%63laude/invoke",
        "/bedrock/model/%63%6C%61%75%64%65/invoke",
        "/bedrock/model/team/claude/invoke",
        "/bedrock/model/team%2Fclaude/invoke",
        "/bedrock/model/team%2fclaude/invoke",
        "http://x/bedrock/model/claude/invoke",
        "http://169.254.169.254/bedrock/model/claude/invoke",
        "https://bedrock-runtime.eu-west-1.amazonaws.com:443/bedrock/model/claude/invoke",
        "HTTP://[::1]:1/bedrock/model/claude/invoke",
        "/bedrock/model/claude/invoke?",
        "/bedrock/model/claude/invoke?/../../x=/../y",
        "/bedrock/model/claude/invoke?modelId=other&a=%0d%0aX:y",
    ] {
        let answer = ask(&proxy, "POST", target);
        assert_eq!(answer.status, 200, "{target}: {}", answer.head);
        assert_eq!(path(&stand_in), wire_path("invoke"), "{target}");
        let host = stand_in.record().last().unwrap();
        assert_eq!(
            host.field("host"),
            Some(format!("localhost:{}", stand_in.address().port()).as_str())
        );
    }
    assert_eq!(ask(&proxy, "POST", "/bedrock/model/claude/converse").status, 200);
    assert_eq!(path(&stand_in), wire_path("converse"));
    check_well(&(stand_in, proxy));
}

#[test]
fn other_methods_are_refused_and_never_signed() {
    let (stand_in, proxy) = plain();
    for method in [
        "GET",
        "HEAD",
        "PUT",
        "DELETE",
        "PATCH",
        "OPTIONS",
        "TRACE",
        "post",
        "Post",
        "PROPFIND",
        "POSTX",
        "P",
        "!#$%&'*+-.^_`|~",
    ] {
        let answer = ask(&proxy, method, INVOKE);
        assert_eq!((answer.status, answer.field("allow")), (405, Some("POST")), "{method}");
    }
    for method in ["POST", "PUT", "DELETE", "TRACE"] {
        for page in ["/v1/models", "/health/readiness", "/health/liveliness"] {
            let answer = ask(&proxy, method, page);
            assert_eq!(
                (answer.status, answer.field("allow")),
                (405, Some("GET, HEAD")),
                "{method}"
            );
            assert!(
                !String::from_utf8_lossy(&answer.content).contains(KEY),
                "TRACE shows no secret"
            );
        }
    }
    assert_eq!(stand_in.record().requests(), 0);
    check_well(&(stand_in, proxy));
}

/// A client may take a tunnel for granted, and what it sends into it is no request.
#[test]
fn connect_opens_no_tunnel_and_ends_the_connection() {
    let (stand_in, proxy) = plain();
    let keyed = format!("Authorization: Bearer {KEY}\r\n");
    for (target, key) in
        [("x:443", keyed.as_str()), ("169.254.169.254:80", ""), (INVOKE, &keyed), ("*", &keyed)]
    {
        let mut client = proxy.client();
        let head = format!("CONNECT {target} HTTP/1.1\r\nHost: x\r\n{key}\r\n");
        client.send(&[head.into_bytes(), good()].concat());
        let answer = client.answer().whole(target);
        assert_eq!((answer.status, answer.field("connection")), (405, Some("close")), "{target}");
        client.check_closed(target);
    }
    assert_eq!(stand_in.record().requests(), 0);
    check_well(&(stand_in, proxy));
}

#[test]
fn upgrades_are_not_taken_up() {
    let (stand_in, proxy) = plain();
    for fields in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAA\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n",
        "Upgrade: TLS/1.0\r\n",
    ] {
        let mut client = proxy.client();
        let request = super::rig::invoke(&format!("{fields}Content-Length: 2\r\n"), "{}");
        client.send(&[request, good()].concat());
        for _ in 0..2 {
            let answer = client.answer().whole(fields);
            assert_eq!((answer.status, answer.field("upgrade")), (200, None), "{fields}");
        }
        for seen in stand_in.record().seen() {
            assert_eq!((seen.field("upgrade"), seen.field("http2-settings")), (None, None));
        }
    }
    check_well(&(stand_in, proxy));
}
