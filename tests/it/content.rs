//! The same bytes out as in: content of every size that matters, in every framing, both ways.
//!
//! Sizes stand around TLS's record (16 KiB), our buffers, and what AWS takes at most (25 MB).

use outcrop::control_plane::config::DriverChoice;

use crate::http::{Answer, End, chunked_request, chunks, request, sha256};
use crate::proxy::{BEARER, ByHand, INVOKE, Pair, Proxy, STREAM, under_both_drivers};

const SIZES: [usize; 7] = [0, 1, (16 << 10) - 1, 16 << 10, (16 << 10) + 1, 1 << 20, 20 << 20];

under_both_drivers!(
    requests_arrive_as_they_were_sent,
    requests_may_come_in_any_pieces,
    answers_arrive_as_they_were_sent,
    answers_to_old_clients_end_with_the_connection,
    answers_may_come_in_any_pieces,
    streams_arrive_as_they_were_sent,
    fields_of_an_answer_arrive_except_those_of_the_connection,
);

/// Every byte value, never the same block twice.
fn noise(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(length as u64 + 1);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

/// What the stand-in sends for `answer_bytes`, by its own words.
fn pattern(length: usize) -> Vec<u8> {
    const AROUND: usize = r#"{"pad":""}"#.len();
    let Some(room) = length.checked_sub(AROUND) else { return vec![b'1'; length] };
    let alphabet = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY";
    let mut bytes = br#"{"pad":""#.to_vec();
    while bytes.len() < length {
        bytes.extend_from_slice(alphabet);
    }
    bytes.truncate(room + AROUND - 2);
    bytes.extend_from_slice(br#""}"#);
    bytes
}

fn check_ok(answer: &Answer) {
    let start = answer.content[..answer.content.len().min(200)].escape_ascii();
    assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{:?} {start}", answer.head);
}

fn requests_arrive_as_they_were_sent(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let mut client = pair.proxy.connect();
    let framings: [(&[usize], _); 3] = [
        (&[], ("", "")),
        (&[1, 4093, 7, 65_537, 16_384, 2], (";e=\"x;\"", "")),
        (&[100_003], ("", "X-Checksum: 1\r\nX-Other: x\r\n")),
    ];
    for size in SIZES {
        let content = noise(size);
        let expected = sha256(&content);
        for (sizes, decoration) in framings {
            let bytes = if sizes.is_empty() {
                request(INVOKE, BEARER, &content)
            } else {
                chunked_request(INVOKE, BEARER, &content, sizes, decoration)
            };
            check_ok(&client.ask(bytes));
            let seen = pair.stand_in.record().last().expect("a request");
            assert_eq!(seen.content_length, size as u64, "{sizes:?}");
            assert_eq!(seen.content_sha256, expected, "{size} B, {sizes:?}");
            assert_eq!(seen.field("content-length"), Some(size.to_string().as_str()));
            assert_eq!(seen.field("x-checksum"), None, "a trailer is no field");
        }
    }
    assert_eq!(pair.stand_in.record().requests(), 3 * SIZES.len() as u64);
}

fn requests_may_come_in_any_pieces(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let content = noise(300);
    let whole = chunked_request(INVOKE, BEARER, &content, &[1, 16, 3], (";a=b", "t: u\r\n"));
    for step in [1, 2, 5, 97] {
        let mut client = pair.proxy.connect();
        whole.chunks(step).for_each(|piece| client.send(piece));
        check_ok(&client.answer());
        let seen = pair.stand_in.record().last().expect("a request");
        assert_eq!(seen.content_sha256, sha256(&content), "in pieces of {step}");
    }
}

fn answers_arrive_as_they_were_sent(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let mut client = pair.proxy.connect();
    for size in SIZES {
        let expected = sha256(&pattern(size));
        for framing in ["length", "chunked", "close"] {
            let mock =
                format!("X-Amzn-Bedrock-Mock: answer_bytes={size}; framing={framing}\r\n{BEARER}");
            let answer = client.ask(request(INVOKE, &mock, b"{}"));
            check_ok(&answer);
            assert_eq!(answer.content.len(), size, "{framing}");
            assert_eq!(sha256(&answer.content), expected, "{size} B, {framing}");
            let length = answer.head.field("content-length").map(str::to_owned);
            assert_eq!(length, (framing == "length").then(|| size.to_string()), "{framing}");
        }
    }
}

fn answers_to_old_clients_end_with_the_connection(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let line = INVOKE.replace("HTTP/1.1", "HTTP/1.0");
    for size in SIZES {
        let expected = sha256(&pattern(size));
        for framing in ["length", "chunked", "close"] {
            let mock =
                format!("X-Amzn-Bedrock-Mock: answer_bytes={size}; framing={framing}\r\n{BEARER}");
            let mut client = pair.proxy.connect();
            let answer = client.ask(request(&line, &mock, b"{}"));
            check_ok(&answer);
            assert_eq!(sha256(&answer.content), expected, "{size} B, {framing}");
            assert_eq!(answer.head.field("transfer-encoding"), None, "unknown to HTTP/1.0");
            client.check_closed();
        }
    }
}

fn answers_may_come_in_any_pieces(driver: DriverChoice) {
    let upstream = ByHand::start();
    let proxy = Proxy::plain(driver, upstream.address());
    let mut client = proxy.connect();
    client.send(request(INVOKE, BEARER, b"{}"));
    let mut hand = upstream.accept();
    let content = noise(500);
    let mut whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    whole.extend(chunks(&content, &[1, 16, 255], "; ext"));
    whole.extend_from_slice(b"000\r\nX-Trailer: 1\r\n\r\n");
    for step in [1, 3, 50] {
        hand.request();
        whole.chunks(step).for_each(|piece| hand.send(piece));
        let answer = client.answer();
        check_ok(&answer);
        assert_eq!(sha256(&answer.content), sha256(&content), "in pieces of {step}");
        client.send(request(INVOKE, BEARER, b"{}"));
    }
    hand.request();
    hand.answer(&content);
    assert_eq!(client.answer().content, content, "and with a length, on the same connections");
}

fn streams_arrive_as_they_were_sent(driver: DriverChoice) {
    let pair = Pair::start(driver);
    for frame_bytes in [1_000, 20_000, 200_000] {
        let fields =
            format!("{BEARER}X-Amzn-Bedrock-Mock: frames=40; frame_bytes={frame_bytes}\r\n");
        let answer = pair.proxy.connect().ask(request(STREAM, &fields, b"{}"));
        check_ok(&answer);
        let content_type = answer.head.field("content-type");
        assert_eq!(content_type, Some("application/vnd.amazon.eventstream"));
        let seen = pair.stand_in.record().last().expect("a request");
        assert_eq!(frames(&answer.content), seen.frames_sent, "each with its checksums");
    }
}

/// Frames in `bytes`, each checked against its two CRCs (AWS's event-stream encoding).
fn frames(mut bytes: &[u8]) -> u64 {
    let number =
        |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().expect("four bytes of a number"));
    let mut count = 0;
    while !bytes.is_empty() {
        let length = number(&bytes[..4]) as usize;
        let (frame, rest) = bytes.split_at(length);
        assert_eq!(crc32fast::hash(&frame[..8]), number(&frame[8..12]), "frame {count}");
        let crc = number(&frame[length - 4..]);
        assert_eq!(crc32fast::hash(&frame[..length - 4]), crc, "frame {count}");
        (bytes, count) = (rest, count + 1);
    }
    count
}

fn fields_of_an_answer_arrive_except_those_of_the_connection(driver: DriverChoice) {
    let upstream = ByHand::start();
    let proxy = Proxy::plain(driver, upstream.address());
    let mut client = proxy.connect();
    client.send(request(INVOKE, BEARER, b"{}"));
    let mut hand = upstream.accept();
    hand.request();
    hand.send(
        "HTTP/1.1 418 I'm a Teapot\r\nX-Amzn-RequestId: 5f\r\nx-amzn-bedrock-input-token-count: 3\r\n\
         Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: X-Private, Keep-Alive\r\nX-Private: p\r\n\
         Keep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nno",
    );
    let answer = client.answer();
    assert_eq!((answer.head.status, answer.content.as_slice()), (418, &b"no"[..]));
    let field = |name| answer.head.field(name);
    assert_eq!(field("x-amzn-requestid"), Some("5f"), "AWS's own id is what its support asks for");
    assert_eq!(field("x-amzn-bedrock-input-token-count"), Some("3"));
    let cookies = answer.head.fields.iter().filter(|(name, _)| name == "Set-Cookie").count();
    assert_eq!(cookies, 2, "{:?}", answer.head);
    for dropped in ["x-private", "keep-alive", "connection"] {
        assert_eq!(field(dropped), None, "{dropped}");
    }
}
