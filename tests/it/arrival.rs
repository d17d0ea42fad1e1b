//! Bytes pass on arrival, at the pace of the slower side, and only while the client is there.

use std::{io::Write as _, net::Shutdown, time::Duration};

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::Answered;

use crate::http::{Client, End, chunks, request, sha256};
use crate::proxy::{BEARER, ByHand, INVOKE, Pair, Proxy, STREAM, under_both_drivers};

/// How soon after its client an exchange must be gone, as the issue has it.
const GONE_MAX: Duration = Duration::from_secs(1);

under_both_drivers!(
    the_first_frame_arrives_before_the_second_is_sent,
    bytes_do_not_wait_for_a_frame_to_be_whole,
    the_head_arrives_before_the_content,
    a_client_that_leaves_while_the_head_is_awaited,
    a_client_that_leaves_mid_stream,
    a_client_that_leaves_while_upstream_is_silent,
    a_client_that_leaves_without_reading,
    a_client_that_leaves_within_its_request,
    a_slow_reader_stops_upstream_and_loses_nothing,
);

fn mock(directives: &str) -> String {
    format!("{BEARER}X-Amzn-Bedrock-Mock: {directives}\r\n")
}

/// Reads until one whole event-stream frame is there.
fn first_frame(client: &mut Client) -> Vec<u8> {
    let mut frame = client.chunk().expect("a chunk");
    loop {
        let length = frame.first_chunk().map(|bytes| u32::from_be_bytes(*bytes) as usize);
        if length.is_some_and(|length| frame.len() >= length) {
            return frame;
        }
        frame.extend(client.chunk().expect("the rest of the frame"));
    }
}

fn the_first_frame_arrives_before_the_second_is_sent(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let mut client = pair.proxy.connect();
    client.send(request(STREAM, &mock("frames=3; gate"), b"{}"));
    assert_eq!(client.head().expect("a head").status, 200, "before any frame");
    let record = pair.stand_in.record();
    assert_eq!(record.frames_sent(), 0);
    for frame in 1..=2 {
        pair.stand_in.release_frames(1);
        first_frame(&mut client);
        assert_eq!(record.frames_sent(), frame, "the next one waits for its release");
    }
    pair.stand_in.release_frames(1000);
    while !client.chunk().expect("a clean end").is_empty() {}
    assert!(record.wait(GONE_MAX, |record| record.finished() == 1));
}

fn bytes_do_not_wait_for_a_frame_to_be_whole(driver: DriverChoice) {
    let upstream = ByHand::start();
    let proxy = Proxy::plain(driver, upstream.address());
    let mut client = proxy.connect();
    client.send(request(STREAM, BEARER, b"{}"));
    let mut hand = upstream.accept();
    hand.request();
    hand.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.head().expect("a head");
    hand.send("64\r\n"); // a chunk of 100 bytes, which come one by one
    for byte in 0..100 {
        hand.send([byte]);
        assert_eq!(client.chunk(), Ok(vec![byte]));
    }
    hand.send("\r\n0\r\n\r\n");
    assert_eq!(client.chunk(), Ok(vec![]));
}

fn the_head_arrives_before_the_content(driver: DriverChoice) {
    let upstream = ByHand::start();
    let proxy = Proxy::plain(driver, upstream.address());
    let mut client = proxy.connect();
    client.send(request(INVOKE, BEARER, b"{}"));
    let mut hand = upstream.accept();
    hand.request();
    hand.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    let head = client.head().expect("a head");
    hand.send("ok");
    let mut content = Vec::new();
    assert_eq!(client.content(&head, &mut content), End::Clean);
    assert_eq!(content, b"ok");
}

/// Starts an exchange with each way to leave; `until` reads as far as the client gets. The stand-in must
/// see its connection go within the time, and never the end of its answer.
fn check_leaving(
    driver: DriverChoice,
    directives: &str,
    connect: impl Fn(&Pair) -> Client,
    until: impl Fn(&mut Client, &Pair),
) {
    for leave in [drop, Client::reset] {
        let pair = Pair::start(driver);
        let record = pair.stand_in.record();
        let mut client = connect(&pair);
        client.send(request(STREAM, &mock(directives), b"{}"));
        assert!(record.wait(GONE_MAX * 10, |record| record.requests() == 1));
        until(&mut client, &pair);
        assert_eq!(record.connections_open(), 1, "not before the client leaves");
        leave(client);
        assert!(record.wait(GONE_MAX, |record| record.connections_open() == 0), "{directives}");
        assert_eq!(record.last().expect("a request").answered, Answered::ClientGone);
        assert_eq!(record.requests(), 1, "nor is it sent again");
    }
}

fn a_client_that_leaves_while_the_head_is_awaited(driver: DriverChoice) {
    check_leaving(driver, "stall=head", |pair| pair.proxy.connect(), |_, _| {});
}

fn a_client_that_leaves_mid_stream(driver: DriverChoice) {
    let until = |client: &mut Client, pair: &Pair| {
        client.head().expect("a head");
        pair.stand_in.release_frames(3);
        first_frame(client);
    };
    check_leaving(driver, "frames=1000; gate", |pair| pair.proxy.connect(), until);
}

fn a_client_that_leaves_while_upstream_is_silent(driver: DriverChoice) {
    let until = |client: &mut Client, _: &Pair| {
        client.head().expect("a head");
        first_frame(client);
    };
    check_leaving(driver, "stall=frames:2", |pair| pair.proxy.connect(), until);
}

fn a_client_that_leaves_without_reading(driver: DriverChoice) {
    let connect = |pair: &Pair| Client::connect_with_buffer(pair.proxy.address(), 4096);
    let until = |_: &mut Client, pair: &Pair| {
        // More than one chunk head: the answer is on its way, and the client takes none of it.
        let on_its_way = |record: &outcrop::mock_bedrock::Record| record.bytes_sent() > 1 << 20;
        assert!(pair.stand_in.record().wait(GONE_MAX * 10, on_its_way));
    };
    check_leaving(driver, "frames=1000; frame_bytes=60000", connect, until);
}

fn a_client_that_leaves_within_its_request(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let whole = request(INVOKE, BEARER, &[b'x'; 10_000]);
    for cut in [1, 60, whole.len() - 9_000, whole.len() - 1] {
        for leave in [drop, Client::reset] {
            let mut client = pair.proxy.connect();
            client.send(&whole[..cut]);
            leave(client);
        }
    }
    let answer = pair.proxy.connect().ask(&whole);
    assert_eq!(answer.head.status, 200, "the proxy is well");
    assert_eq!(pair.stand_in.record().requests(), 1, "half a request goes nowhere");
}

/// What the kernel's buffers of one direction may hold at most, by `/proc/sys/net/ipv4/tcp_?mem`.
fn kernel_bytes_max(name: &str) -> usize {
    let limits = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).expect("Linux");
    limits.split_whitespace().next_back().and_then(|max| max.parse().ok()).expect("three numbers")
}

fn a_slow_reader_stops_upstream_and_loses_nothing(driver: DriverChoice) {
    const OURS_MAX: usize = 1 << 20;
    const STILL: Duration = Duration::from_millis(250);
    let held_max = kernel_bytes_max("tcp_rmem") + 2 * kernel_bytes_max("tcp_wmem") + OURS_MAX;
    let upstream = ByHand::start();
    let proxy = Proxy::plain(driver, upstream.address());
    let mut client = Client::connect_with_buffer(proxy.address(), 4096);
    client.send(request(STREAM, BEARER, b"{}"));
    let mut hand = upstream.accept();
    hand.request();
    hand.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut block = vec![0; 1 << 20];
    fastrand::Rng::with_seed(7).fill(&mut block);
    let block = chunks(&block, &[65_536, 1000], "");
    // A write that takes nothing for a while has come to a stop. On a machine so slow that it merely
    // pauses, less was sent than could have been, and the bound below holds all the more.
    hand.stream.set_write_timeout(Some(STILL)).expect("a time-out");
    let mut sent = 0;
    let mut rest: &[u8] = &block;
    while let Ok(count) = hand.stream.write(rest) {
        sent += count;
        rest = if count == rest.len() { &block } else { &rest[count..] };
        assert!(sent < held_max + (1 << 20), "{sent} B taken from upstream for nobody");
    }
    hand.stream.set_write_timeout(Some(crate::http::WAIT_MAX)).expect("a time-out");
    let (rest, blocks) = (rest.to_vec(), (sent + rest.len()) / block.len());
    let writer = std::thread::spawn(move || {
        hand.send(rest);
        hand.send("0\r\n\r\n");
        hand.stream.shutdown(Shutdown::Write).expect("a FIN");
        hand
    });
    let head = client.head().expect("a head");
    let mut content = Vec::new();
    assert_eq!(client.content(&head, &mut content), End::Clean);
    drop(writer.join().expect("all is taken now"));
    let mut plain = vec![0; 1 << 20];
    fastrand::Rng::with_seed(7).fill(&mut plain);
    assert_eq!(content.len(), plain.len() * blocks);
    let expected = sha256(&plain);
    assert!(content.chunks(plain.len()).all(|block| sha256(block) == expected), "all, intact");
}
