//! Clients that leave or stall (C1, C3, C4, C9): nothing half-sent goes upstream, and nothing is kept.

use std::time::Duration;

use super::rig::{EPOLL, End, check_well, good, invoke, plain, plain_with};

const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_request_cut_anywhere_never_goes_upstream() {
    let (stand_in, proxy) = plain();
    let length = good();
    let chunks = invoke("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n");
    for whole in [length, chunks] {
        for end in 0..whole.len() {
            let mut client = proxy.client();
            client.send(&whole[..end]);
            if end % 2 == 0 {
                client.half_close();
                match client.answer() {
                    End::Cut(bytes) => assert!(bytes.is_empty(), "cut at {end}"),
                    End::Answer(answer) => assert_eq!(answer.status, 400, "cut at {end}"),
                }
            } else {
                client.reset();
            }
        }
    }
    assert_eq!(stand_in.record().requests(), 0);
    check_well(&(stand_in, proxy));
}

/// C3: a client that says it will send no more is taken to have left, and upstream is not paid for it.
#[test]
fn a_half_close_ends_the_call_and_both_connections() {
    let (stand_in, proxy) = plain();
    stand_in.set_fault("stall=head").expect("a directive");
    let mut client = proxy.client();
    client.send(&good());
    assert!(stand_in.record().wait(SOON, |record| record.requests() == 1));
    client.half_close();
    client.check_closed("half-closed");
    assert!(stand_in.record().wait(SOON, |record| record.connections_open() == 0));
    stand_in.set_fault("").expect("a directive");
    check_well(&(stand_in, proxy));
}

/// C4: each way to leave, with upstream silent, streaming, or streaming to a client that sent ahead.
#[test]
fn a_client_that_leaves_frees_upstream() {
    for fault in ["stall=head", "gate; frames=8", "frames=100000; frame_gap_ms=1"] {
        for ahead in [0, 1, 40] {
            for resets in [false, true] {
                let (stand_in, proxy) = plain_with(if ahead == 1 { EPOLL } else { "" });
                stand_in.set_fault(fault).expect("a directive");
                let mut client = proxy.client();
                let stream =
                    String::from_utf8(good()).unwrap().replace("/invoke ", "/converse-stream ");
                client.send(stream.as_bytes());
                client.send(&good().repeat(ahead));
                assert!(stand_in.record().wait(SOON, |record| record.requests() == 1), "{fault}");
                if resets {
                    client.reset();
                } else {
                    drop(client);
                }
                let is_free = stand_in.record().wait(SOON, |record| record.connections_open() == 0);
                assert!(is_free, "{fault}, {ahead} requests ahead, reset: {resets}");
                assert_eq!(stand_in.record().requests(), 1, "nothing sent ahead was executed");
            }
        }
    }
}

/// C1: 200 heads that never end cost nobody else anything, and each is told so in the end. Waits for the
/// proxy's own limit, 15 s, at no cost; C2's (30 s) is too long for a test of every day.
#[test]
fn slow_heads_are_told_and_closed() {
    let (stand_in, proxy) = plain();
    let mut slow: Vec<_> = (0..200).map(|_| proxy.client()).collect();
    slow.iter_mut()
        .for_each(|client| client.send(b"POST /bedrock/model/claude/invoke HTTP/1.1\r\nX: "));
    for _ in 0..50 {
        let mut client = proxy.client();
        client.send(&good());
        assert_eq!(client.answer().whole("a good one between").status, 200);
    }
    slow.iter_mut().for_each(|client| client.send(b"y"));
    for client in &mut slow {
        client.wait_long();
        let answer = client.answer().whole("a slow head");
        assert_eq!((answer.status, answer.field("connection")), (408, Some("close")));
        answer.check_fault("a slow head");
        client.send(b"\r\nHost: x\r\n\r\n"); // too late: read and dropped
        client.half_close();
        client.check_closed("a slow head");
    }
    check_well(&(stand_in, proxy));
}
