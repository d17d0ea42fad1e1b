//! Upstreams that lie, break off or are no HTTP (U3–U6, U9, U16): 502 before the head, a visible cut after
//! it, never a clean end of what was cut, and never a byte of one answer in another.

use outcrop::mock_bedrock::{Authority, RawStep, RawUpstream};
use std::sync::LazyLock;

use super::rig::{Answer, EPOLL, End, KEY, MODEL, Proxy, SECRET, good, invoke};

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::generate().expect("a CA"));

/// What a client gets if upstream's first connection plays `script`, and later ones answer well; and what
/// it gets next, on the same connection if that lives; and how many requests there were before that.
fn play(is_tls: bool, script: Vec<RawStep>) -> (End, Option<Answer>, usize) {
    let well = vec![
        RawStep::ReadRequest,
        RawStep::Write(b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 4\r\n\r\nwell".to_vec()),
        RawStep::Stall,
    ];
    let authority = is_tls.then_some(&*AUTHORITY);
    let upstream = RawUpstream::start_each(authority, vec![script, well]).expect("it starts");
    let proxy = Proxy::before(upstream.address(), authority, if is_tls { "" } else { EPOLL });
    let mut client = proxy.client();
    client.send(&good());
    let first = client.answer();
    for secret in [KEY, SECRET, "AKIAOUTCROPSTANDIN00"] {
        assert!(!format!("{first:?}").contains(secret), "{first:?}");
    }
    let requests = upstream.requests().len();
    let second = match &first {
        End::Answer(answer) if answer.field("connection") != Some("close") => {
            client.send(&good());
            Some(client.answer().whole("the answer after"))
        }
        _ => {
            client.check_closed("the end");
            None
        }
    };
    (first, second, requests)
}

fn answered(bytes: impl AsRef<[u8]>) -> Vec<RawStep> {
    vec![RawStep::ReadRequest, RawStep::Write(bytes.as_ref().to_vec()), RawStep::Close]
}

/// Upstream's answer is refused: 502 in our shape, and its connection is not used again.
fn check_refused(case: &str, bytes: impl AsRef<[u8]>) {
    let mut script = answered(bytes);
    script.insert(2, RawStep::Stall); // what is wrong is seen without a close
    let (first, second, requests) = play(false, script);
    let first = first.whole(case);
    assert_eq!(first.status, 502, "{case}: {}", first.head);
    first.check_fault(case);
    assert_eq!(second.expect("we are well").content, b"well", "{case}");
    assert_eq!(requests, 1, "{case}: not sent again");
}

#[test]
fn heads_that_are_no_heads_are_refused() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let length = "Content-Length: 2\r\n";
    for fields in [
        "Content-Length: 2\r\nContent-Length: 2\r\n".to_owned(),
        "Content-Length: 2\r\nContent-Length: 3\r\n".to_owned(),
        "Content-Length: 2, 2\r\n".to_owned(),
        "Content-Length: +2\r\n".to_owned(),
        "Content-Length: -2\r\n".to_owned(),
        "Content-Length: x\r\n".to_owned(),
        "Content-Length:\r\n".to_owned(),
        "Content-Length: 18446744073709551616\r\n".to_owned(),
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding: gzip, chunked\r\n".to_owned(),
        "Transfer-Encoding: chunked, chunked\r\n".to_owned(),
        "Transfer-Encoding: identity\r\n".to_owned(),
        format!("{length}X : y\r\n"),
        format!("{length} X: y\r\n"),
        format!("{length}X: y\r\n z\r\n"),
        format!("{length}X: y\n"),
        format!("{length}X: y\rZ: z\r\n"),
        format!("{length}X: \0\r\n"),
        format!("{length}X: \x01\r\n"),
        format!("{length}: y\r\n"),
        format!("{length}nocolon\r\n"),
        format!("{length}{}", "X: y\r\n".repeat(200)),
        format!("{length}X: {}\r\n", "y".repeat(64 * 1024)),
        format!("{length}{}: y\r\n", "X".repeat(64 * 1024)),
    ] {
        let shown: String = fields.chars().take(60).collect();
        check_refused(&shown, format!("{ok}{fields}\r\n{{}}"));
    }
    for line in [
        "HTTP/1.1 abc OK\r\n",
        "HTTP/1.1 20 OK\r\n",
        "HTTP/1.1 2000 OK\r\n",
        "HTTP/1.1 099 OK\r\n",
        "HTTP/1.1 600 OK\r\n",
        "HTTP/1.1  200 OK\r\n",
        "HTTP/1.1 200 OK\n",
        "HTTP/1.1 200 O\0K\r\n",
        "HTTP/1.1\r\n",
        "HTTP/2.0 200 OK\r\n",
        "HTTP/0.9 200 OK\r\n",
        "http/1.1 200 OK\r\n",
        "ICY 200 OK\r\n",
        " HTTP/1.1 200 OK\r\n",
        "\r\nHTTP/1.1 200 OK\r\n",
        "<html><body>an old server</body></html>\r\n",
        "\x15\x03\x01\x00\x02\x02\x28",
        "{\"message\":\"no head\"}",
    ] {
        check_refused(line, format!("{line}{length}\r\n{{}}"));
    }
    check_refused(
        "TE in HTTP/1.0",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    check_refused(
        "unasked 101",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    );
    check_refused("a flood of 100", "HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000));
    check_refused("a flood of 103", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".repeat(17));
}

#[test]
fn a_connection_closed_within_the_head_is_a_502() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    for end in 0..head.len() {
        for last in [RawStep::Close, RawStep::Reset] {
            let is_tls = end % 8 == 0;
            let script = vec![RawStep::ReadRequest, RawStep::Write(head[..end].into()), last];
            let (first, second, requests) = play(is_tls, script);
            let first = first.whole("cut head");
            assert_eq!(first.status, 502, "cut at {end}: {}", first.head);
            first.check_fault("cut head");
            assert_eq!(
                (second.expect("well").content, requests),
                (b"well".to_vec(), 1),
                "cut at {end}"
            );
        }
    }
}

/// The client must not take for whole what was not: in any framing, over TLS and without.
#[test]
fn a_message_that_was_cut_never_ends_cleanly() {
    let long = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n";
    let start = chunks.find("\r\n\r\n").expect("a head") + 4;
    let mut cuts: Vec<String> = (start..chunks.len()).map(|end| chunks[..end].to_owned()).collect();
    cuts.push(long.to_owned());
    cuts.push("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nhello".to_owned());
    let cuts_only = cuts.len();
    for broken in [
        "0x5\r\nhello",
        "5\nhello",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "-1\r\n",
        "5;\0\r\n",
        "10000000000000000\r\n",
    ] {
        cuts.push(format!("{}5\r\nhello\r\n{broken}", &chunks[..start]));
    }
    for (count, cut) in cuts.iter().enumerate() {
        for last in [RawStep::Close, RawStep::Reset] {
            let script = vec![RawStep::ReadRequest, RawStep::Write(cut.clone().into_bytes()), last];
            let (first, _, requests) = play(count % 8 == 0, script);
            // Framing that is broken before a byte has left can still be told, and is.
            let is_told = matches!(&first, End::Answer(answer) if answer.status == 502);
            let is_right = matches!(first, End::Cut(_)) || (is_told && count >= cuts_only);
            assert!(is_right, "{cut:?}: {first:?}");
            assert_eq!(requests, 1, "{cut:?}: not sent again");
        }
    }
}

#[test]
fn what_ends_with_the_connection_is_whole_only_if_tls_says_so() {
    let until_close = "HTTP/1.1 200 OK\r\n\r\nhello";
    for is_tls in [false, true] {
        for _ in 0..8 {
            let (first, _, _) = play(is_tls, answered(until_close));
            assert_eq!(first.whole("closed in order").content, b"hello", "TLS: {is_tls}");
        }
        let reset = vec![RawStep::ReadRequest, RawStep::Write(until_close.into()), RawStep::Reset];
        assert!(matches!(play(is_tls, reset).0, End::Cut(_)), "TLS: {is_tls}");
    }
}

/// Bytes nobody asked for never reach anyone, and their connection is not used again (U4).
#[test]
fn surplus_bytes_poison_nothing() {
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for (answer, status, content) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, "{}"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, ""),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 200, "{}"),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 45\r\n\r\n", 204, ""),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 45\r\n\r\n", 304, ""),
    ] {
        for is_tls in [false, true] {
            let script = vec![
                RawStep::ReadRequest,
                RawStep::Write(format!("{answer}{evil}").into_bytes()),
                RawStep::Stall,
            ];
            let (first, second, _) = play(is_tls, script);
            let first = first.whole(answer);
            assert_eq!((first.status, first.content.as_slice()), (status, content.as_bytes()));
            assert_eq!(second.expect("kept").content, b"well", "{answer} TLS: {is_tls}");
        }
    }
}

#[test]
fn interim_answers_are_skipped_and_redirects_are_not_followed() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX: y\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n";
    let final_one = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let (first, _, requests) = play(false, answered(format!("{interim}{final_one}")));
    let first = first.whole("interim answers");
    assert_eq!((first.status, first.content.as_slice(), requests), (200, &b"{}"[..], 1));

    let moved = "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\n{}";
    let (first, _, requests) = play(false, answered(moved));
    let first = first.whole("a redirect");
    first.check_fault("a redirect");
    assert_eq!((first.status, requests), (502, 1), "neither followed nor relayed");
    assert!(!first.head.contains("127.0.0.1:1"), "{}", first.head);
}

#[test]
fn single_bytes_make_the_same_answer() {
    for is_tls in [false, true] {
        let chunks = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Odd Reason\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n\
                      5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n";
        let script =
            vec![RawStep::ReadRequest, RawStep::WriteEachByte(chunks.into()), RawStep::Close];
        let first = play(is_tls, script).0.whole("single bytes");
        assert_eq!((first.status, first.field("x")), (201, Some("y")));
        assert_eq!((first.content.as_slice(), first.field("trailer")), (&b"hello world"[..], None));
    }
}

/// RFC 9110 §6.6.1: who forwards an answer without a date adds the time of arrival; SDKs set their clock by it.
#[test]
fn answers_leave_with_a_date_and_without_fields_of_the_connection() {
    let bare = "HTTP/1.1 200 OK\r\nConnection: X-Private, keep-alive\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n\
                Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nTrailer: x\r\nContent-Length: 2\r\n\r\n{}";
    let first = play(false, answered(bare)).0.whole("no date");
    assert!(first.field("date").is_some_and(|date| date.ends_with(" GMT")), "{}", first.head);
    for name in ["x-private", "keep-alive", "proxy-authenticate", "upgrade", "trailer"] {
        assert_eq!(first.field(name), None, "{name}");
    }
    let dated =
        "HTTP/1.1 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nContent-Length: 2\r\n\r\n{}";
    let first = play(false, answered(dated)).0.whole("a date");
    assert_eq!(first.field("date"), Some("Tue, 15 Nov 1994 08:12:31 GMT"));
}

/// However a request came, it leaves in one form.
#[test]
fn a_request_leaves_in_one_form() {
    let upstream =
        RawUpstream::start(None, answered("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).unwrap();
    let proxy = Proxy::before(upstream.address(), None, "");
    let mut client = proxy.client();
    client.send(&invoke(
        "content-TYPE:  a/b \r\nTransfer-Encoding: chunked\r\n",
        "1\r\n{\r\n1\r\n}\r\n0\r\nEvil: x\r\n\r\n",
    ));
    assert_eq!(client.answer().whole("canonical").status, 200);
    let request = String::from_utf8(upstream.requests().remove(0)).expect("ASCII");
    let start = format!("POST /model/{}/invoke HTTP/1.1\r\nhost: ", MODEL.replace(':', "%3A"));
    assert!(request.starts_with(&start), "{request}");
    assert!(
        request.contains("\r\ncontent-type: a/b\r\n")
            && request.contains("\r\ncontent-length: 2\r\n")
    );
    assert!(request.ends_with("\r\n\r\n{}") && !request.contains("Evil"), "{request}");
}

/// U17: an upstream that answers before it has read, and then reads no more, is heard at once.
#[test]
fn an_early_answer_is_not_waited_for() {
    let script = vec![
        RawStep::PauseMs(50),
        RawStep::Write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}".to_vec()),
        RawStep::PauseMs(60_000),
    ];
    for is_tls in [false, true] {
        let authority = is_tls.then_some(&*AUTHORITY);
        let upstream = RawUpstream::start(authority, script.clone()).expect("it starts");
        let proxy = Proxy::before(upstream.address(), authority, "");
        let content = "x".repeat(16 * 1024 * 1024);
        let mut client = proxy.client();
        client.send(&invoke(&format!("Content-Length: {}\r\n", content.len()), &content));
        assert_eq!(client.answer().whole("an early answer").status, 413, "TLS: {is_tls}");
    }
}
