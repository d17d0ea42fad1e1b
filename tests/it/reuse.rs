//! Upstream connections and TLS sessions: when they serve again, and when never.

use std::time::Duration;

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::{RawStep, RawUpstream};

use crate::http::{End, request};
use crate::proxy::{BEARER, ByHand, INVOKE, Pair, Proxy, STREAM, under_both_drivers};

const SOON: Duration = Duration::from_secs(10);

under_both_drivers!(
    one_connection_serves_them_all,
    as_many_connections_as_requests_at_a_time,
    an_idle_connection_that_closed_is_not_used,
    a_request_that_met_a_close_is_sent_once_more,
    a_fresh_connection_that_closes_gets_no_second_try,
    a_second_try_that_fails_is_the_last,
    a_cut_within_the_head_gets_no_second_try,
    surplus_bytes_end_a_connection,
    stray_bytes_never_reach_the_next_request,
    an_announced_close_is_believed,
    tls_sessions_are_resumed,
    a_client_that_left_spoils_nothing,
);

fn one_connection_serves_them_all(driver: DriverChoice) {
    let pair = Pair::of_one_attempt(driver);
    for _ in 0..5 {
        let mut client = pair.proxy.connect();
        for line in [INVOKE, STREAM, INVOKE, "POST /bedrock/model/claude/converse HTTP/1.1"] {
            let answer = client.ask(request(line, BEARER, b"{}"));
            assert_eq!((answer.head.status, answer.end), (200, End::Clean));
        }
    }
    let record = pair.stand_in.record();
    assert_eq!((record.requests(), record.connections()), (20, 1), "whichever client asks");
}

fn as_many_connections_as_requests_at_a_time(driver: DriverChoice) {
    let pair = Pair::of_one_attempt(driver);
    let mut clients: Vec<_> = (0..8).map(|_| pair.proxy.connect()).collect();
    let record = pair.stand_in.record();
    for round in 1..=3 {
        let fields = format!("{BEARER}X-Amzn-Bedrock-Mock: gate; frames=1\r\n");
        clients.iter_mut().for_each(|client| client.send(request(STREAM, &fields, b"{}")));
        assert!(record.wait(SOON, |record| record.requests() == 8 * round));
        pair.stand_in.release_frames(1000);
        assert!(clients.iter_mut().all(|client| client.answer().end == End::Clean));
        // What was released and not needed goes to the next round; it gates nothing any more.
    }
    assert_eq!(record.connections(), 8, "all of them reused");
}

fn an_idle_connection_that_closed_is_not_used(driver: DriverChoice) {
    let pair = Pair::of_one_attempt(driver);
    let mut client = pair.proxy.connect();
    let record = pair.stand_in.record();
    for count in 1..=5 {
        let fields = format!("{BEARER}X-Amzn-Bedrock-Mock: close=idle\r\n");
        let answer = client.ask(request(INVOKE, &fields, b"{}"));
        assert_eq!((answer.head.status, answer.end), (200, End::Clean));
        // Sometimes the close is seen before the next request is sent, sometimes after: all the same.
        if count % 2 == 0 {
            assert!(record.wait(SOON, |record| record.connections_open() == 0));
        }
        assert_eq!((record.requests(), record.connections()), (count, count));
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn raw(scripts: Vec<Vec<RawStep>>) -> RawUpstream {
    RawUpstream::start_each(None, scripts).expect("an upstream")
}

fn ask(proxy: &Proxy, name: &str) -> crate::http::Answer {
    proxy.connect().ask(request(INVOKE, BEARER, name.as_bytes()))
}

/// The contents that arrived, in order.
fn arrived(upstream: &RawUpstream) -> Vec<String> {
    let content = |request: &Vec<u8>| {
        let text = String::from_utf8_lossy(request).into_owned();
        text.split_once("\r\n\r\n").expect("a whole head").1.to_owned()
    };
    upstream.requests().iter().map(content).collect()
}

fn a_request_that_met_a_close_is_sent_once_more(driver: DriverChoice) {
    use RawStep::{Close, ReadRequest, Reset, Stall, Write};
    for ending in [Close, Reset] {
        let upstream = raw(vec![
            vec![ReadRequest, Write(OK.into()), ReadRequest, ending],
            vec![ReadRequest, Write(OK.into()), Stall],
        ]);
        let proxy = Proxy::of_one_attempt(driver, upstream.address());
        assert_eq!(ask(&proxy, "first").head.status, 200);
        let second = ask(&proxy, "second");
        assert_eq!((second.head.status, second.content.as_slice()), (200, &b"ok"[..]));
        assert_eq!(arrived(&upstream), ["first", "second", "second"]);
    }
}

fn a_fresh_connection_that_closes_gets_no_second_try(driver: DriverChoice) {
    for ending in [RawStep::Close, RawStep::Reset] {
        let upstream = raw(vec![vec![RawStep::ReadRequest, ending]]);
        let proxy = Proxy::of_one_attempt(driver, upstream.address());
        ask(&proxy, "only").check_fault(502, "InternalServerException");
        assert_eq!(arrived(&upstream), ["only"], "it may have been executed, and cost money");
    }
}

fn a_second_try_that_fails_is_the_last(driver: DriverChoice) {
    use RawStep::{Close, ReadRequest, Write};
    let upstream = raw(vec![
        vec![ReadRequest, Write(OK.into()), ReadRequest, Close],
        vec![ReadRequest, Close],
    ]);
    let proxy = Proxy::of_one_attempt(driver, upstream.address());
    assert_eq!(ask(&proxy, "first").head.status, 200);
    ask(&proxy, "second").check_fault(502, "InternalServerException");
    assert_eq!(arrived(&upstream), ["first", "second", "second"]);
}

fn a_cut_within_the_head_gets_no_second_try(driver: DriverChoice) {
    use RawStep::{Close, ReadRequest, Write};
    for start in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let upstream =
            raw(vec![vec![ReadRequest, Write(OK.into()), ReadRequest, Write(start.into()), Close]]);
        let proxy = Proxy::of_one_attempt(driver, upstream.address());
        assert_eq!(ask(&proxy, "first").head.status, 200);
        ask(&proxy, "second").check_fault(502, "InternalServerException");
        assert_eq!(arrived(&upstream), ["first", "second"], "it had begun to answer: {start:?}");
    }
}

fn surplus_bytes_end_a_connection(driver: DriverChoice) {
    let pair = Pair::of_one_attempt(driver);
    let mut client = pair.proxy.connect();
    for count in 1..=3 {
        let fields = format!("{BEARER}X-Amzn-Bedrock-Mock: surplus=50; answer_bytes=100\r\n");
        let answer = client.ask(request(INVOKE, &fields, b"{}"));
        assert_eq!((answer.content.len(), answer.end), (100, End::Clean), "and no byte more");
        assert_eq!(pair.stand_in.record().connections(), count);
    }
}

fn stray_bytes_never_reach_the_next_request(driver: DriverChoice) {
    let upstream = ByHand::start();
    let proxy = Proxy::of_one_attempt(driver, upstream.address());
    let mut client = proxy.connect();
    client.send(request(INVOKE, BEARER, b"1"));
    let mut hand = upstream.accept();
    hand.request();
    hand.answer(b"one");
    assert_eq!(client.answer().content, b"one");
    for stray in ["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "\0", "\r\n"] {
        // On loopback, what was sent has arrived when the call returns.
        hand.send(stray);
        client.send(request(INVOKE, BEARER, b"2"));
        let mut next = upstream.accept();
        assert_eq!(next.request().1, b"2");
        next.answer(b"two");
        assert_eq!(client.answer().content, b"two", "{stray:?}");
        hand.check_closed();
        hand = next;
    }
}

fn an_announced_close_is_believed(driver: DriverChoice) {
    let upstream = ByHand::start();
    let proxy = Proxy::of_one_attempt(driver, upstream.address());
    let mut client = proxy.connect();
    let heads = [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ];
    for head in heads {
        client.send(request(INVOKE, BEARER, b"{}"));
        let mut hand = upstream.accept();
        hand.request();
        hand.send(head);
        let answer = client.answer();
        assert_eq!((answer.content.as_slice(), answer.end), (&b"ok"[..], End::Clean));
        assert_ne!(answer.head.field("connection"), Some("close"), "the client's may stay");
        hand.check_closed();
    }
}

fn tls_sessions_are_resumed(driver: DriverChoice) {
    let pair = Pair::of_one_attempt(driver);
    let mut client = pair.proxy.connect();
    let record = pair.stand_in.record();
    for count in 0..5 {
        let fields = format!("{BEARER}X-Amzn-Bedrock-Mock: close=idle\r\n");
        assert_eq!(client.ask(request(INVOKE, &fields, b"{}")).head.status, 200);
        assert!(record.wait(SOON, |record| record.connections_open() == 0));
        assert_eq!(record.tls_resumed(), count, "all but the first");
    }
}

/// A connection whose answer nobody waited for is not in a state to serve anybody else.
fn a_client_that_left_spoils_nothing(driver: DriverChoice) {
    let pair = Pair::of_one_attempt(driver);
    let record = pair.stand_in.record();
    for count in 1..=3 {
        let fields = format!("{BEARER}X-Amzn-Bedrock-Mock: delay_ms=60000\r\n");
        let mut leaving = pair.proxy.connect();
        leaving.send(request(INVOKE, &fields, b"{}"));
        assert!(record.wait(SOON, |record| record.requests() == 2 * count - 1));
        drop(leaving);
        assert!(record.wait(SOON, |record| record.connections_open() == 0));
        let answer = pair.proxy.connect().ask(request(
            INVOKE,
            &format!("{BEARER}X-Amzn-Bedrock-Mock: answer_bytes=77; close=idle\r\n"),
            b"{}",
        ));
        assert_eq!((answer.head.status, answer.content.len()), (200, 77));
        assert!(record.wait(SOON, |record| record.connections_open() == 0));
    }
}
