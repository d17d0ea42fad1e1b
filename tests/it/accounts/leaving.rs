//! Clients that leave, and a proxy that ends: what was seen by then is told, and nothing is held for nobody.

use std::time::Duration;

use outcrop::control_plane::config::DriverChoice;
use outcrop::limits::ABANDONED_BYTES_MAX;
use outcrop::mock_bedrock::{Options, Record, StandIn};
use serde_json::{Value, json};

use super::books::{
    Books, CACHE_READ, CONVERSE, CONVERSE_STREAM, INPUT, OUTPUT, check, mock, stored,
};
use crate::http::{Client, End, WAIT_MAX, request};
use crate::proxy::{
    BEARER, ByHand, Deployment, INVOKE, STREAM, ca_file, config_file, under_both_drivers,
};
use crate::running::{Running, answers_ready};

under_both_drivers!(
    before_its_content_is_whole,
    while_it_waits_for_the_head,
    in_the_middle_of_a_stream,
    a_drained_stream_is_exact,
    a_drained_answer_is_exact,
    a_drained_stream_that_breaks,
    a_stream_without_end_is_not_drained_for_ever,
    what_the_end_of_the_process_interrupts,
);

/// How soon upstream must learn that nobody wants its answer.
const SOON: Duration = Duration::from_secs(1);
const DRAIN: &str = "  on_client_disconnect: drain\n";
/// The ways to leave: FIN, when all was read, and RST.
const WAYS: [fn(Client); 2] = [drop, Client::reset];

fn ask(books: &Books, line: &str, directives: &str) -> Client {
    let mut client = books.connect();
    client.send(request(line, &mock(directives), &[b'x'; 40]));
    client
}

/// Lets the client leave, and the core, which is one, see it: it serves what came later.
fn leave(books: &Books, client: Client, way: fn(Client)) {
    way(client);
    let page = format!("GET /health/liveliness HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n");
    assert_eq!(books.connect().ask(page).head.status, 200);
}

/// Reads one frame of a stream to its end.
fn read_frame(client: &mut Client) {
    let mut frame = Vec::new();
    let length = |frame: &[u8]| {
        let prelude = frame.first_chunk::<4>().map(|it| u32::from_be_bytes(*it) as usize);
        prelude.unwrap_or(usize::MAX)
    };
    while frame.len() < length(&frame) {
        frame.extend(client.chunk().expect("more of the frame"));
    }
    assert_eq!(frame.len(), length(&frame));
}

fn before_its_content_is_whole(driver: DriverChoice) {
    let (books, stand_in) = Books::with_stand_in(driver, DRAIN);
    let whole = request(INVOKE, BEARER, &[b'x'; 10_000]);
    for (way, cut) in WAYS.into_iter().zip([9_000, 1]) {
        let mut client = books.connect();
        client.send(&whole[..whole.len() - cut]);
        leave(&books, client, way);
    }
    for line in books.lines(2) {
        check(&line, &json!({"outcome": "incomplete", "call_type": "invoke"}));
        assert!(line.get("status").is_none() && line.get("spend_unknown").is_none(), "{line:#}");
    }
    assert_eq!(books.rows(0), [Value::Null; 0]);
    assert_eq!(stand_in.record().requests(), 0);
}

fn while_it_waits_for_the_head(driver: DriverChoice) {
    let (books, stand_in) = Books::with_stand_in(driver, "");
    let record = stand_in.record();
    for (way, count) in WAYS.into_iter().zip(1..) {
        let client = ask(&books, INVOKE, "stall=head");
        assert!(record.wait(WAIT_MAX, |it| it.requests() == count), "it arrives");
        leave(&books, client, way);
        assert!(record.wait(SOON, |it| it.connections_open() == 0), "upstream is told");
    }
    for row in books.rows(2) {
        let expected = json!({
            "outcome": "client_gone", "status": "failure", "http_status": null, "error": null,
            "cost_pico": null, "unknown_cost": "no_usage", "input_tokens": null, "attempts": 1,
            "answer_bytes": 0, "request_bytes": 40,
        });
        check(&row, &expected);
    }
    assert_eq!(books.metric("outcrop_client_gone_total", ""), 2);
}

fn in_the_middle_of_a_stream(driver: DriverChoice) {
    let (books, stand_in) = Books::with_stand_in(driver, "");
    for line in [STREAM, CONVERSE_STREAM] {
        for way in WAYS {
            let mut client = ask(&books, line, "frames=50; gate; cache_read=20");
            stand_in.release_frames(1);
            client.head().expect("a head");
            read_frame(&mut client);
            leave(&books, client, way);
            let record = stand_in.record();
            assert!(record.wait(SOON, |it| it.connections_open() == 0), "upstream is told");
        }
    }
    let rows = books.rows(4);
    // As far as it was told: one token of the answer was, and no stream of Converse's tells before its end.
    let begun = 10 * INPUT + OUTPUT + 20 * CACHE_READ;
    for (row, cost) in rows.iter().zip([Some(begun), Some(begun), None, None]) {
        let expected = json!({
            "outcome": "client_gone", "status": "failure", "http_status": 200,
            "usage_partial": true, "input_tokens": cost.map(|_| 10), "cost_pico": cost,
            "cache_read_tokens": cost.map(|_| 20), "stream": true,
            "unknown_cost": if cost.is_none() { json!("no_usage") } else { Value::Null },
        });
        check(row, &expected);
    }
    assert_eq!(books.metric("outcrop_partial_usage_total", ""), 4);
    assert_eq!(books.metric("outcrop_client_gone_total", ""), 4);
}

fn a_drained_stream_is_exact(driver: DriverChoice) {
    let (books, stand_in) = Books::with_stand_in(driver, DRAIN);
    let record = stand_in.record();
    let mut ended = 0;
    for line in [STREAM, CONVERSE_STREAM] {
        for way in WAYS {
            let mut client = ask(&books, line, "frames=50; gate");
            stand_in.release_frames(1);
            client.head().expect("a head");
            read_frame(&mut client);
            let finished = record.finished();
            leave(&books, client, way);
            // 54 or 55 frames there are. What is released too many gates nothing more.
            stand_in.release_frames(if line == STREAM { 54 } else { 53 });
            assert!(record.wait(WAIT_MAX, |it| it.finished() == finished + 1), "it is read on");
            ended += 2;
            books.rows(ended - 1); // and its connection is idle
            assert_eq!(books.ask(INVOKE, "frames=1").head.status, 200);
        }
    }
    assert_eq!((record.connections(), record.clients_gone()), (1, 0), "one served them all");
    for pair in books.rows(8).chunks(2) {
        let expected = json!({
            "outcome": "drained", "status": "success", "usage_partial": false, "input_tokens": 10,
            "completion_tokens": 50, "cost_pico": 10 * INPUT + 50 * OUTPUT, "unknown_cost": null,
        });
        check(&pair[0], &expected);
        check(&pair[1], &json!({"outcome": "whole", "cost_pico": 10 * INPUT + OUTPUT}));
    }
    assert_eq!(books.metric("outcrop_outcomes_total", "drained"), 4);
}

/// One whose head was still to come.
fn a_drained_answer_is_exact(driver: DriverChoice) {
    let (books, stand_in) = Books::with_stand_in(driver, DRAIN);
    let record = stand_in.record();
    let mut count = 0;
    for line in [INVOKE, CONVERSE] {
        for way in WAYS {
            count += 1;
            let client = ask(&books, line, "delay_ms=200; frames=5");
            assert!(record.wait(WAIT_MAX, |it| it.requests() == count), "it arrives");
            leave(&books, client, way);
            assert!(record.wait(WAIT_MAX, |it| it.finished() == count), "it is waited for");
            books.rows(usize::try_from(count).expect("few")); // it has ended, and its connection is idle
        }
    }
    for row in books.rows(4) {
        let expected = json!({
            "outcome": "drained", "http_status": 200, "usage_partial": false,
            "cost_pico": 10 * INPUT + 5 * OUTPUT,
        });
        check(&row, &expected);
    }
    assert_eq!((record.connections(), record.clients_gone()), (1, 0));
}

fn a_drained_stream_that_breaks(driver: DriverChoice) {
    let (books, stand_in) = Books::with_stand_in(driver, DRAIN);
    let cases = [
        ("bad_crc=5", 5, "stream_corrupt"),
        ("close=after_frames:5", 5, "answer_cut"),
        ("exception=mid:throttlingException", 7, "drained"),
    ];
    for (directives, frames, _) in cases {
        let mut client = ask(&books, STREAM, &format!("frames=8; gate; {directives}"));
        stand_in.release_frames(1);
        client.head().expect("a head");
        read_frame(&mut client);
        leave(&books, client, drop);
        stand_in.release_frames(usize::try_from(frames - 1).expect("few"));
        let sent = |it: &Record| it.seen().last().is_some_and(|seen| seen.frames_sent == frames);
        assert!(stand_in.record().wait(WAIT_MAX, sent), "{directives}");
    }
    for (row, (.., outcome)) in books.rows(3).iter().zip(cases) {
        let expected = json!({
            "outcome": outcome, "status": "failure", "usage_partial": true,
            "cost_pico": 10 * INPUT + OUTPUT,
        });
        check(row, &expected);
    }
}

fn a_stream_without_end_is_not_drained_for_ever(driver: DriverChoice) {
    let upstream = ByHand::start();
    let books = Books::start(driver, None, &[Deployment::plain(upstream.address())], DRAIN);
    let mut client = books.connect();
    client.send(request(STREAM, BEARER, &[b'x'; 40]));
    let mut hand = upstream.accept();
    hand.request();
    hand.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    client.head().expect("a head");
    assert_eq!(client.chunk(), Ok(vec![b'x']));
    leave(&books, client, drop);
    let piece = [b"10000\r\n", &[b'x'; 1 << 16][..], b"\r\n"].concat();
    let most = 2 * ABANDONED_BYTES_MAX / (1 << 16);
    let sent =
        (0..most).take_while(|_| std::io::Write::write_all(&mut hand.stream, &piece).is_ok());
    let sent = sent.count() as u64;
    assert!(sent < most, "it is read for ever");
    let row = books.rows(1).remove(0);
    check(&row, &json!({"outcome": "client_gone", "status": "failure", "cost_pico": null}));
    assert!(sent << 16 >= ABANDONED_BYTES_MAX, "{sent} pieces: it was given up too soon");
}

/// The grace period is over, or a second signal says so.
fn what_the_end_of_the_process_interrupts(driver: DriverChoice) {
    for (grace_s, name) in [(1, "grace"), (30, "impatience")] {
        let stand_in = StandIn::start(Options::default()).expect("a stand-in");
        let ca = ca_file(&stand_in).expect("it speaks TLS");
        let more = format!("outcrop:\n  shutdown_grace_s: {grace_s}\n");
        let config = config_file(driver, &[Deployment::to(stand_in.address())], &more);
        let (ca, file) = (ca.to_str().expect("UTF-8"), config.to_str().expect("UTF-8"));
        let arguments = ["--config", file, "--host", "127.0.0.1", "--num_workers", "1"];
        let mut running = Running::start(name, &arguments, &[("SSL_CERT_FILE", ca)], answers_ready);
        let address = ([127, 0, 0, 1], running.port).into();
        let mut streaming = Client::connect(address);
        streaming.send(request(STREAM, &mock("frames=8; gate"), &[b'x'; 40]));
        stand_in.release_frames(1);
        let head = streaming.head().expect("a head");
        read_frame(&mut streaming);
        let mut waiting = Client::connect(address);
        waiting.send(request(INVOKE, &mock("stall=head"), &[b'x'; 40]));
        assert!(stand_in.record().wait(WAIT_MAX, |it| it.requests() == 2));
        let mut old = Client::connect(address);
        let line = STREAM.replace("HTTP/1.1", "HTTP/1.0");
        old.send(request(&line, &mock("stall=frames:1"), &[b'x'; 40]));
        let old_head = old.head().expect("a head");
        running.signal();
        if grace_s > 1 {
            assert!(crate::running::within(|| running.said().contains("stopping")));
            running.signal();
        }
        let status = running.wait();
        assert!(status.is_some_and(|status| status.success()), "{status:?}\n{}", running.said());
        assert_ne!(streaming.content(&head, &mut Vec::new()), End::Clean);
        assert_eq!(old.content(&old_head, &mut Vec::new()), End::Reset, "a FIN would say: whole");
        let rows = "SELECT group_concat(outcome || ' ' || call_type || ' ' || status || ' ' || \
                    IFNULL(cost_pico, unknown_cost) || ' ' || usage_partial, ', ') FROM (SELECT * FROM spend_logs ORDER BY started_us)";
        let folder = config.with_extension("data");
        assert_eq!(
            stored(&folder.join("outcrop.db"), rows),
            "interrupted invoke-with-response-stream failure 12000000 1, \
             interrupted invoke failure no_usage 0, \
             interrupted invoke-with-response-stream failure 12000000 1",
            "{name}"
        );
        std::fs::remove_dir_all(folder).expect("a folder of ours");
    }
}
