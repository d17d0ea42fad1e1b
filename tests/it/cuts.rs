//! An upstream that breaks off, or cannot be reached or trusted: never a clean end for half an answer.

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::{Authority, Options, RawStep, RawUpstream, StandIn};
use outcrop::wire::eventstream::{frame::parse_frame, header::MessageKind};

use crate::http::{End, request};
use crate::proxy::{
    BEARER, ByHand, Deployment, INVOKE, Pair, Proxy, STREAM, ca_file, under_both_drivers,
};
use crate::running::free_port;

under_both_drivers!(
    before_the_head_the_client_gets_an_error_it_can_read,
    after_the_head_the_client_sees_a_cut,
    a_stream_cut_between_frames_ends_with_an_exception,
    a_corrupt_stream_is_cut_where_it_breaks,
    an_old_client_sees_a_reset,
    a_cut_in_chunks_or_in_their_frame_is_seen,
    an_end_that_tls_does_not_vouch_for_is_a_cut,
    an_answer_that_is_not_http_is_an_error,
    interim_answers_are_passed_over,
    an_early_answer_counts,
    an_interim_answer_does_not_end_an_upload,
    an_upstream_that_cannot_be_reached,
    an_upstream_that_cannot_be_trusted,
    an_upstream_that_speaks_no_tls,
);

fn mock(directives: &str) -> String {
    format!("{BEARER}X-Amzn-Bedrock-Mock: {directives}\r\n")
}

fn before_the_head_the_client_gets_an_error_it_can_read(driver: DriverChoice) {
    for place in ["before_head", "in_head"] {
        for ending in ["close", "reset"] {
            for line in [INVOKE, STREAM] {
                let pair = Pair::of_one_attempt(driver);
                let mut client = pair.proxy.connect();
                let fields = mock(&format!("{ending}={place}"));
                let answer = client.ask(request(line, &fields, b"{}"));
                answer.check_fault(502, "InternalServerException");
                assert_eq!(pair.stand_in.record().requests(), 1, "{ending}={place}: no retry");
                let again = client.ask(request(INVOKE, BEARER, b"{}"));
                assert_eq!(again.head.status, 200, "the client's connection lives on");
            }
        }
    }
    for ending in ["close", "reset"] {
        let pair = Pair::of_one_attempt(driver);
        pair.stand_in.set_fault(&format!("{ending}=accept")).expect("a directive");
        let mut client = pair.proxy.connect();
        let answer = client.ask(request(INVOKE, BEARER, b"{}"));
        answer.check_fault(503, "ServiceUnavailableException");
        assert!(answer.head.field("retry-after").is_some(), "it is worth another try");
        pair.stand_in.set_fault("").expect("no directive");
        assert_eq!(client.ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
    }
}

fn after_the_head_the_client_sees_a_cut(driver: DriverChoice) {
    let cuts = [
        (INVOKE, "close=in_content"),
        (INVOKE, "reset=in_content"),
        (INVOKE, "close=in_content; answer_bytes=1000000"),
        (INVOKE, "reset=in_content; answer_bytes=1000000"),
        (INVOKE, "short_content=1"),
        (STREAM, "close=in_content"),
        (STREAM, "reset=in_content"),
    ];
    for (line, directives) in cuts {
        let pair = Pair::of_one_attempt(driver);
        let mut client = pair.proxy.connect();
        let answer = client.ask(request(line, &mock(directives), b"{}"));
        assert_eq!(answer.head.status, 200, "{directives}");
        assert_ne!(answer.end, End::Clean, "{directives}");
        if let Some(length) = answer.head.field("content-length") {
            assert!(answer.content.len() < length.parse().expect("a length"), "{directives}");
        }
        if directives.starts_with("close") {
            assert!(!answer.content.is_empty(), "{directives}: what came before it is there");
        }
        assert_eq!(pair.stand_in.record().requests(), 1, "{directives}: too late for a retry");
    }
}

/// Between two frames there is room for one more: the client is told in its operation's own terms.
fn a_stream_cut_between_frames_ends_with_an_exception(driver: DriverChoice) {
    let converse = STREAM.replace("invoke-with-response-stream", "converse-stream");
    for (line, http) in [(STREAM, "1.1"), (&converse, "1.1"), (STREAM, "1.0")] {
        for ending in ["close", "reset"] {
            let pair = Pair::of_one_attempt(driver);
            let mut client = pair.proxy.connect();
            let line = line.replace("HTTP/1.1", &format!("HTTP/{http}"));
            let directives = format!("{ending}=after_frames:2; frames_per_write=1");
            let answer = client.ask(request(&line, &mock(&directives), b"{}"));
            assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{directives}");
            let frames = frames(&answer.content);
            // A reset may overtake frames, on its way to us.
            assert!(frames.len() == 3 || ending == "reset", "{directives}: {frames:?}");
            let (kind, payload) = frames.last().expect("a frame");
            assert_eq!(kind, "modelStreamErrorException", "{directives}");
            let payload: serde_json::Value = serde_json::from_slice(payload).expect("JSON");
            assert!(payload["message"].as_str().is_some_and(|text| text.contains("broke off")));
            let row = pair.proxy.rows(1).pop().expect("a row");
            assert_eq!(
                (&row["outcome"], &row["status"]),
                (&"answer_cut".into(), &"failure".into())
            );
            let theirs = row["answer_bytes"].as_u64().and_then(|bytes| bytes.try_into().ok());
            let theirs = self::frames(&answer.content[..theirs.expect("a count")]);
            assert_eq!(theirs.len(), frames.len() - 1, "ours is not the answer's");
            if http == "1.1" {
                let again = client.ask(request(INVOKE, BEARER, b"{}"));
                assert_eq!(again.head.status, 200, "the client's connection lives on");
            }
        }
    }
}

/// `(type, payload)` of each frame; all of them are sound.
fn frames(mut content: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut frames = Vec::new();
    while !content.is_empty() {
        let frame = parse_frame(content).expect("a sound frame").expect("a whole frame");
        let kind = match frame.kind().expect("headers") {
            MessageKind::Event { event_type } => event_type,
            MessageKind::Exception { exception_type } => exception_type,
            _ => None,
        };
        frames.push((kind.expect("a type").to_owned(), frame.payload().to_vec()));
        content = &content[frame.bytes().len()..];
    }
    frames
}

fn a_corrupt_stream_is_cut_where_it_breaks(driver: DriverChoice) {
    let pair = Pair::of_one_attempt(driver);
    let whole = pair.proxy.connect().ask(request(STREAM, BEARER, b"{}"));
    assert_eq!(whole.end, End::Clean);
    let first_frame = u32::from_be_bytes(whole.content[..4].try_into().expect("a frame")) as usize;
    for directives in ["bad_crc=2", "bad_crc=5", "bad_prelude=3"] {
        let mut client = pair.proxy.connect();
        let answer = client.ask(request(STREAM, &mock(directives), b"{}"));
        assert_eq!(answer.head.status, 200, "{directives}");
        assert_ne!(answer.end, End::Clean, "{directives}");
        assert!(answer.content.len() < whole.content.len(), "{directives}");
        assert!(answer.content.len() >= first_frame, "{directives}: what came before passes");
    }
    // Until the first frame is there, the client has seen nothing, and can be told.
    for directives in ["bad_crc=1", "bad_prelude=1", "close=after_frames:0"] {
        let answer = pair.proxy.connect().ask(request(STREAM, &mock(directives), b"{}"));
        answer.check_fault(502, "InternalServerException");
    }
    // Whole by HTTP, but not by its frames: most clients would take it for the end.
    let upstream = ByHand::start();
    let proxy = Proxy::of_one_attempt(driver, upstream.address());
    let mut client = proxy.connect();
    client.send(request(STREAM, BEARER, b"{}"));
    let mut hand = upstream.accept();
    hand.request();
    hand.send(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\nContent-Length: {}\r\n\r\n",
        whole.content.len() - 1
    ));
    hand.send(&whole.content[..whole.content.len() - 1]);
    let answer = client.answer();
    assert_ne!(answer.end, End::Clean);
}

fn an_old_client_sees_a_reset(driver: DriverChoice) {
    let line = STREAM.replace("HTTP/1.1", "HTTP/1.0");
    for directives in ["close=in_content", "reset=in_content"] {
        let pair = Pair::of_one_attempt(driver);
        let mut client = pair.proxy.connect();
        let answer = client.ask(request(&line, &mock(directives), b"{}"));
        assert_eq!(answer.head.status, 200, "{directives}");
        // Its framing is the close: a FIN would say that this is all.
        assert_eq!(answer.end, End::Reset, "{directives}");
    }
}

fn a_cut_in_chunks_or_in_their_frame_is_seen(driver: DriverChoice) {
    let upstream = ByHand::start();
    let proxy = Proxy::of_one_attempt(driver, upstream.address());
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let ends = [
        "",
        "5",
        "5\r\n",
        "5\r\nhello",
        "5\r\nhello\r\n",
        "5\r\nhello\r\n0",
        "5\r\nhello\r\n0\r\n",
        "5\r\nhello\r\n0\r\nX: y\r\n",
        "5\r\nhello, this is more than five\r\n0\r\n\r\n",
        "5\r\nhello\r\nz\r\n",
        "-1\r\n",
        "5\r\nhello\r\nffffffffffffffffff\r\n",
    ];
    for end in ends {
        let mut client = proxy.connect();
        client.send(request(STREAM, BEARER, b"{}"));
        let mut hand = upstream.accept();
        hand.request();
        hand.send(head);
        client.head().expect("a head, before the rest is there");
        hand.send(end);
        drop(hand);
        let mut content = Vec::new();
        let ended = loop {
            match client.chunk() {
                Ok(chunk) if chunk.is_empty() => break End::Clean,
                Ok(chunk) => content.extend(chunk),
                Err(end) => break end,
            }
        };
        assert_ne!(ended, End::Clean, "{end:?}");
        assert!(b"hello".starts_with(&content[..]), "{end:?}");
    }
    // What lasts until the close is whole with a FIN, when no TLS could tell otherwise.
    let mut client = proxy.connect();
    client.send(request(STREAM, BEARER, b"{}"));
    let mut hand = upstream.accept();
    hand.request();
    hand.send("HTTP/1.0 200 OK\r\n\r\nhello");
    drop(hand);
    let answer = client.answer();
    assert_eq!((answer.content.as_slice(), answer.end), (&b"hello"[..], End::Clean));
}

/// Content that lasts until the close: whoever sits in between can forge a FIN, and no close_notify.
fn an_end_that_tls_does_not_vouch_for_is_a_cut(driver: DriverChoice) {
    let authority = Authority::generate().expect("a CA");
    let ca = crate::running::scratch(&format!("vouching-ca-{}.pem", free_port()));
    authority.write_pem(&ca).expect("a writable target/tmp");
    let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello".to_vec();
    let old = STREAM.replace("HTTP/1.1", "HTTP/1.0");
    for (ending, is_whole) in [(RawStep::Close, true), (RawStep::Truncate, false)] {
        let script = vec![RawStep::ReadRequest, RawStep::Write(answer.clone()), ending];
        let upstream = RawUpstream::start(Some(&authority), script).expect("an upstream");
        let proxy = Proxy::start(driver, Some(&ca), &[Deployment::to(upstream.address())], "");
        for line in [STREAM, &old] {
            let answer = proxy.connect().ask(request(line, BEARER, b"{}"));
            assert_eq!(answer.end == End::Clean, is_whole, "{line}: {:?}", answer.end);
            assert!(!is_whole || answer.content == b"hello");
        }
    }
}

fn an_answer_that_is_not_http_is_an_error(driver: DriverChoice) {
    let upstream = ByHand::start();
    let proxy = Proxy::of_one_attempt(driver, upstream.address());
    let mut client = proxy.connect();
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    let answers = [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBad Field: 1\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        &long,
    ];
    for answer in answers {
        client.send(request(INVOKE, BEARER, b"{}"));
        let mut hand = upstream.accept();
        hand.request();
        hand.send(answer);
        client.answer().check_fault(502, "InternalServerException");
        hand.check_closed(); // and never used again
    }
}

fn interim_answers_are_passed_over(driver: DriverChoice) {
    let pair = Pair::of_one_attempt(driver);
    let mut client = pair.proxy.connect();
    for (line, status) in [(INVOKE, 100), (STREAM, 103), (INVOKE, 103)] {
        let fields = mock(&format!("interim={status}"));
        let answer = client.ask(request(line, &fields, b"{}"));
        assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{status}");
    }
    assert_eq!(pair.stand_in.record().connections(), 1);
}

/// An upstream may answer before it has read the request, and close: what it says is what counts.
fn an_early_answer_counts(driver: DriverChoice) {
    let upstream = ByHand::start();
    let proxy = Proxy::of_one_attempt(driver, upstream.address());
    let mut client = proxy.connect();
    client.send(request(INVOKE, BEARER, &vec![b'x'; 20 << 20]));
    let mut hand = upstream.accept();
    hand.send("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
    hand.stream.shutdown(std::net::Shutdown::Write).expect("a FIN");
    let drain = std::thread::spawn(move || {
        // As AWS does: it answers, and reads on for a while.
        let _ = std::io::copy(&mut hand.stream, &mut std::io::sink());
    });
    let answer = client.answer();
    assert_eq!((answer.head.status, answer.content.as_slice()), (413, &b"no"[..]));
    drain.join().expect("it reads to the end");
}

fn an_interim_answer_does_not_end_an_upload(driver: DriverChoice) {
    let upstream = ByHand::start();
    let proxy = Proxy::of_one_attempt(driver, upstream.address());
    let mut client = proxy.connect();
    let content = vec![b'x'; 20 << 20];
    client.send(request(INVOKE, BEARER, &content));
    let mut hand = upstream.accept();
    hand.send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Proce");
    // Long enough for the proxy to see that it cannot send on; if it is not, the test proves less.
    std::thread::park_timeout(std::time::Duration::from_millis(300));
    let (_, seen) = hand.request();
    assert_eq!(seen.len(), content.len(), "all of it was sent");
    hand.send("ssing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let answer = client.answer();
    assert_eq!((answer.head.status, answer.content.as_slice()), (200, &b"ok"[..]));
}

fn an_upstream_that_cannot_be_reached(driver: DriverChoice) {
    let proxy = Proxy::of_one_attempt(driver, ([127, 0, 0, 1], free_port()).into());
    let mut client = proxy.connect();
    for _ in 0..2 {
        let answer = client.ask(request(INVOKE, BEARER, b"{}"));
        answer.check_fault(503, "ServiceUnavailableException");
        assert!(answer.head.field("retry-after").is_some());
    }
}

fn an_upstream_that_cannot_be_trusted(driver: DriverChoice) {
    let stand_in = StandIn::start(Options::default()).expect("a stand-in");
    let other = Authority::generate().expect("a CA");
    let elsewhere = crate::running::scratch(&format!("other-ca-{}.pem", free_port()));
    other.write_pem(&elsewhere).expect("a writable target/tmp");
    for ca in [None, Some(&elsewhere)] {
        let proxy = Proxy::start(driver, ca, &[Deployment::to(stand_in.address())], "");
        let answer = proxy.connect().ask(request(INVOKE, BEARER, b"{}"));
        answer.check_fault(502, "InternalServerException");
        assert_eq!(stand_in.record().requests(), 0, "nothing was said to a stranger");
    }
}

fn an_upstream_that_speaks_no_tls(driver: DriverChoice) {
    let options = Options { tls: false, ..Options::default() };
    let stand_in = StandIn::start(options).expect("a stand-in");
    let trusted = StandIn::start(Options::default()).expect("a stand-in");
    let ca = ca_file(&trusted);
    let proxy = Proxy::start(driver, ca.as_ref(), &[Deployment::to(stand_in.address())], "");
    let answer = proxy.connect().ask(request(INVOKE, BEARER, b"{}"));
    answer.check_fault(502, "InternalServerException");
    assert_eq!(stand_in.record().requests(), 0);
}
