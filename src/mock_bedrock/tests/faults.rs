//! Faults as they are on the wire, seen by a client that knows no HTTP.

use super::*;
use std::io::{Read, Write};
use std::net;

/// A stand-in that lets everyone in, on plain HTTP.
fn plain() -> StandIn {
    StandIn::start(Options { tls: false, verify_signatures: false, ..Options::default() }).unwrap()
}

fn request(action: &str, mock: &str) -> Vec<u8> {
    let head = format!(
        "POST /model/anthropic.claude-x/{action} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
    );
    format!("{head}x-amzn-bedrock-mock: {mock}\r\n\r\n{{}}").into_bytes()
}

fn connect(address: SocketAddr) -> net::TcpStream {
    let stream = net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream
}

/// All that comes until the connection ends, and how it ends.
fn exchange(stand_in: &StandIn, action: &str, mock: &str) -> (String, io::Result<()>) {
    let mut stream = connect(stand_in.address());
    stream.write_all(&request(action, mock)).unwrap();
    let mut received = Vec::new();
    let end = stream.read_to_end(&mut received).map(drop);
    (String::from_utf8_lossy(&received).into_owned(), end)
}

/// Reads until `end` has come.
fn read_until(stream: &mut net::TcpStream, end: &str) -> String {
    let mut received = Vec::new();
    while !received.ends_with(end.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        received.push(byte[0]);
    }
    String::from_utf8_lossy(&received).into_owned()
}

#[test]
fn answers_break_off_where_asked() {
    let stand_in = plain();
    let check = |action: &str, mock: &str, holds: fn(&str) -> bool| {
        let (received, end) = exchange(&stand_in, action, mock);
        assert!(holds(&received), "{mock}: {received}");
        let reset = end.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset);
        assert_eq!(reset, mock.starts_with("reset"), "{mock}");
    };
    for mock in ["close=before_head", "reset=before_head"] {
        check("invoke", mock, str::is_empty);
        check("converse-stream", mock, str::is_empty);
    }
    check("invoke", "close=in_head", |text| {
        text.starts_with("HTTP/1.1 200 OK\r\n") && !text.contains("\r\n\r\n")
    });
    check("converse-stream", "close=in_head", |text| !text.contains("\r\n\r\n"));
    for mock in ["close=in_content; answer_bytes=100", "reset=in_content; answer_bytes=100"] {
        check("invoke", mock, |text| {
            text.contains("Content-Length: 100")
                && text.split("\r\n\r\n").nth(1).unwrap().len() == 50
        });
    }
    check("invoke", "short_content=5; answer_bytes=20", |text| {
        text.contains("Content-Length: 25") && text.ends_with('}')
    });
    check("invoke", "framing=close; answer_bytes=20", |text| {
        text.contains("Connection: close\r\n\r\n{")
    });
    check("invoke", "close=idle", |text| {
        text.ends_with("}") && text.contains("Connection: keep-alive")
    });
    check("converse-stream", "close=idle", |text| text.ends_with("0\r\n\r\n"));
    check("converse-stream", "close=in_content", |text| !text.ends_with("\r\n0\r\n\r\n"));
    for mock in ["close=after_frames:3", "reset=after_frames:3"] {
        check("converse-stream", mock, |text| {
            text.matches(":event-type").count() == 3 && !text.ends_with("0\r\n\r\n")
        });
    }
}

#[test]
fn interim_answers_and_surplus_keep_the_connection() {
    let stand_in = plain();
    let mut stream = connect(stand_in.address());
    stream.write_all(&request("invoke", "interim=103; answer_bytes=12")).unwrap();
    let received = read_until(&mut stream, "\"}");
    assert!(
        received.starts_with("HTTP/1.1 103 Early Hints\r\n")
            && received.contains("HTTP/1.1 200 OK\r\n")
    );
    stream.write_all(&request("invoke", "surplus=3; answer_bytes=12")).unwrap();
    assert!(
        read_until(&mut stream, "!!!").contains("Content-Length: 12\r\n\r\n{\"pad\":\"01\"}!!!")
    );
    stream.write_all(&request("invoke", "answer_bytes=12")).unwrap();
    assert!(read_until(&mut stream, "\"}").starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(stand_in.record().connections(), 1);
}

#[test]
fn a_client_that_leaves_is_noticed() {
    let stand_in = plain();
    let record = stand_in.record();
    let cases = [
        ("invoke", "stall=in_content"),
        ("invoke", "stall=head"),
        ("converse-stream", "stall=frames:2"),
        ("converse-stream", "gate"),
    ];
    for (gone, (action, mock)) in cases.into_iter().enumerate() {
        let mut stream = connect(stand_in.address());
        stream.write_all(&request(action, mock)).unwrap();
        assert!(record.wait(WAIT, |record| record.requests() == gone as u64 + 1));
        assert_eq!(
            (record.last().unwrap().answered, record.connections_open()),
            (Answered::Pending, 1)
        );
        drop(stream);
        assert!(record.wait(WAIT, |record| record.clients_gone() == gone as u64 + 1), "{mock}");
        assert!(record.wait(WAIT, |record| record.connections_open() == 0));
        assert_eq!(record.last().unwrap().answered, Answered::ClientGone);
    }
}

#[test]
fn requests_that_break_are_counted() {
    let stand_in = plain();
    let record = stand_in.record();
    let mut stream = connect(stand_in.address());
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12").unwrap();
    drop(stream);
    assert!(record.wait(WAIT, |record| record.contents_broken() == 1));
    let mut stream = connect(stand_in.address());
    stream.write_all(b"POST / HTTP/1.1\r\nbad field\r\n\r\n").unwrap();
    assert!(record.wait(WAIT, |record| record.heads_refused() == 1));
    assert_eq!((record.requests(), record.seen().len()), (0, 0));
}

#[test]
fn a_client_that_takes_nothing_holds_little() {
    let stand_in = plain();
    let mut stream = connect(stand_in.address());
    stream.write_all(&request("converse-stream", "frames=400; frame_bytes=100000")).unwrap();
    assert!(stand_in.record().wait(WAIT, |record| record.frames_sent() > 0));
    drop(stream);
    assert!(stand_in.record().wait(WAIT, |record| record.clients_gone() == 1));
    assert!(stand_in.record().frames_sent() < 400);
}

#[test]
fn a_region_goes_bad_and_recovers() {
    let stand_in = plain();
    let status = |mock: &str| {
        exchange(&stand_in, "invoke", mock).0.get(9..12).unwrap_or_default().to_owned()
    };
    stand_in.set_fault("throttle; close=idle; retry_after=2").unwrap();
    assert_eq!((status(""), status("status=503")), ("429".into(), "503".into()));
    stand_in.set_fault("close=accept").unwrap();
    assert!(connect(stand_in.address()).read_to_end(&mut Vec::new()).is_ok());
    assert!(stand_in.set_fault("nonsense").is_err());
    stand_in.set_fault("").unwrap();
    assert_eq!(status("close=idle"), "200");
    assert_eq!(stand_in.record().anomalies(), [""; 0]);
}

#[test]
fn the_port_is_free_after_stop_and_requests_are_told() {
    let (sender, told) = std::sync::mpsc::channel();
    let on_request: OnRequest = Arc::new(move |seen: &Seen| sender.send(seen.status).unwrap());
    let base = Options {
        tls: false,
        verify_signatures: false,
        on_request: Some(on_request),
        ..Options::default()
    };
    let stand_in = StandIn::start(base.clone()).unwrap();
    let address = stand_in.address();
    let mut idle = connect(address);
    idle.write_all(&request("invoke", "status=404")).unwrap();
    assert_eq!(told.recv_timeout(WAIT), Ok(404));
    stand_in.stop();
    assert!(net::TcpStream::connect(address).is_err());
    let again = StandIn::start(Options { listen: address, ..base }).unwrap();
    assert_eq!(again.address(), address);
}

#[test]
fn scripts_are_played() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx".to_vec();
    let scripts = vec![
        vec![RawStep::ReadRequest, RawStep::WriteEachByte(answer.clone()), RawStep::Close],
        vec![RawStep::ReadRequest, RawStep::Write(answer[..9].to_vec()), RawStep::Reset],
    ];
    let upstream = RawUpstream::start_each(None, scripts).unwrap();
    for expected in
        [Ok(answer.len()), Err(io::ErrorKind::ConnectionReset), Err(io::ErrorKind::ConnectionReset)]
    {
        let mut stream = connect(upstream.address());
        stream.write_all(&request("invoke", "")).unwrap();
        let end = stream.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
        assert_eq!(end, expected);
    }
    assert_eq!(upstream.requests(), vec![request("invoke", ""); 3]);
}

#[test]
fn scripts_are_played_over_tls() {
    let authority = Authority::generate().unwrap();
    let script = vec![RawStep::ReadRequest, RawStep::Write(b"junk".to_vec())];
    let upstream = RawUpstream::start(Some(&authority), script).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = rustls::ClientConnection::new(trusting(&authority), name).unwrap();
    let mut stream = rustls::StreamOwned::new(tls, connect(upstream.address()));
    stream.write_all(&request("invoke", "")).unwrap();
    let mut received = String::new();
    stream.read_to_string(&mut received).unwrap();
    assert_eq!(received, "junk");
}

#[test]
fn tls_connections_end_as_asked() {
    let options = Options { verify_signatures: false, ..Options::default() };
    let stand_in = StandIn::start(options).unwrap();
    let config = trusting(stand_in.authority().unwrap());
    for (mock, expected) in [
        ("close=after_frames:1", Ok(())),
        ("reset=after_frames:1", Err(io::ErrorKind::ConnectionReset)),
        ("close=before_head", Ok(())),
        ("reset=in_head", Err(io::ErrorKind::ConnectionReset)),
    ] {
        let name = ServerName::try_from("localhost").unwrap();
        let tls = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut stream = rustls::StreamOwned::new(tls, connect(stand_in.address()));
        stream.write_all(&request("converse-stream", mock)).unwrap();
        let end = stream.read_to_end(&mut Vec::new()).map(drop).map_err(|error| error.kind());
        assert_eq!(end, expected, "{mock}"); // without close_notify it would be UnexpectedEof
    }
}
