//! HTTP/2 from clients, with prior knowledge, on the port of HTTP/1.1: the crate `h2`'s own client, and frames made
//! by hand for what no library sends.

use std::{
    future::Future,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, client};
use http::{Request, Response};
use outcrop::{
    control_plane::config::DriverChoice,
    mock_bedrock::{Options, StandIn},
};

use crate::{
    http::{WAIT_MAX, request},
    proxy::{BEARER, Deployment, INVOKE, KEY, ONE_ATTEMPT, Proxy, under_both_drivers},
    running::within,
};

under_both_drivers!(
    a_hundred_streams_share_one_connection,
    content_goes_up_and_down_whole,
    the_smallest_windows_pass_all_of_it,
    who_reads_slowly_holds_nobody_up,
    a_stream_that_is_reset_is_cancelled_upstream,
    a_stream_that_breaks_off_never_ends_in_order,
    a_clients_goaway_ends_no_stream,
    at_the_end_streams_finish,
    after_so_many_requests_it_is_told_to_go,
    the_preface_may_be_cut_anywhere,
    what_could_smuggle_resets_its_stream,
    curl_speaks_it,
);

const INVOKE_PATH: &str = "/bedrock/model/claude/invoke";
const STREAM_PATH: &str = "/bedrock/model/claude/invoke-with-response-stream";

fn pair(driver: DriverChoice, general: &str) -> (Proxy, StandIn) {
    let stand_in = StandIn::start(Options { tls: false, ..Options::default() }).expect("one");
    let deployment = Deployment::plain(stand_in.address());
    (Proxy::start(driver, None, &[deployment], general), stand_in)
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        tokio::time::timeout(3 * WAIT_MAX, test).await.expect("it ends in time");
    });
}

type Sender = client::SendRequest<Bytes>;

async fn connect(address: SocketAddr, builder: &client::Builder) -> Sender {
    let socket = tokio::net::TcpStream::connect(address).await.expect("it listens");
    let (sender, connection) = builder.handshake(socket).await.expect("it speaks HTTP/2");
    tokio::spawn(async move {
        // How it ends is each test's own to see.
        let _ = connection.await;
    });
    sender
}

/// Asks, and waits for a head.
async fn ask(
    sender: &Sender,
    path: &str,
    directives: &str,
    content: &[u8],
) -> Result<Response<RecvStream>, h2::Error> {
    let request = Request::post(format!("http://proxy{path}"))
        .header("authorization", format!("Bearer {KEY}"))
        .header("x-amzn-bedrock-mock", directives)
        .body(())
        .expect("a request");
    let (answer, mut sending) = sender.clone().ready().await?.send_request(request, false)?;
    let mut rest = Bytes::copy_from_slice(content);
    while !rest.is_empty() {
        sending.reserve_capacity(rest.len());
        let room = std::future::poll_fn(|context| sending.poll_capacity(context)).await;
        let room = room.expect("it is open")?;
        sending.send_data(rest.split_to(room.min(rest.len())), false)?;
    }
    sending.send_data(Bytes::new(), true)?;
    answer.await
}

/// All content; the window is given back as it comes.
async fn whole(answer: Response<RecvStream>) -> (Vec<u8>, Result<(), h2::Error>) {
    let mut stream = answer.into_body();
    let mut content = Vec::new();
    while let Some(data) = stream.data().await {
        match data {
            Ok(data) => {
                content.extend_from_slice(&data);
                stream.flow_control().release_capacity(data.len()).expect("it was received");
            }
            Err(error) => return (content, Err(error)),
        }
    }
    (content, Ok(()))
}

fn a_hundred_streams_share_one_connection(driver: DriverChoice) {
    const STREAMS: usize = 100;
    let (proxy, stand_in) = pair(driver, "");
    run(async {
        let sender = connect(proxy.address(), &client::Builder::new()).await;
        let one = ask(&sender, STREAM_PATH, "frames=8; frame_gap_ms=5", b"{}");
        let expected = whole(one.await.expect("a head")).await.0.len();
        let asked: Vec<_> = (0..STREAMS)
            .map(|_| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    let answer = ask(&sender, STREAM_PATH, "frames=8; frame_gap_ms=5", b"{}").await;
                    let answer = answer.expect("a head");
                    assert_eq!(answer.status(), 200);
                    for forbidden in ["connection", "transfer-encoding", "keep-alive"] {
                        assert!(answer.headers().get(forbidden).is_none(), "{forbidden}");
                    }
                    whole(answer).await
                })
            })
            .collect();
        for one in asked {
            let (content, end) = one.await.expect("no panic");
            assert!(end.is_ok() && content.len() == expected, "{end:?}");
        }
    });
    assert_eq!(stand_in.record().requests(), STREAMS as u64 + 1);
    let rows = proxy.rows(STREAMS + 1);
    assert!(rows.iter().all(|row| row["outcome"] == "whole"), "{rows:#?}");
}

fn content_goes_up_and_down_whole(driver: DriverChoice) {
    let (proxy, _stand_in) = pair(driver, "");
    run(async {
        let sender = connect(proxy.address(), &client::Builder::new()).await;
        for bytes in [0, 1, 16_384, 70_000, 3_000_000] {
            let content = vec![b'x'; bytes];
            let answer = ask(&sender, INVOKE_PATH, "echo=sha256", &content).await.expect("a head");
            let told = whole(answer).await.0.escape_ascii().to_string();
            let hash = ring::digest::digest(&ring::digest::SHA256, &content);
            let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(told.contains(&hash), "{bytes}: {told}");
            let directives = format!("answer_bytes={}", bytes.max(2));
            let answer = ask(&sender, INVOKE_PATH, &directives, b"{}").await.expect("a head");
            let (content, end) = whole(answer).await;
            assert!(end.is_ok() && content.len() == bytes.max(2), "{bytes}: {}", content.len());
        }
    });
}

fn the_smallest_windows_pass_all_of_it(driver: DriverChoice) {
    let (proxy, _stand_in) = pair(driver, "");
    run(async {
        let mut builder = client::Builder::new();
        let sender = connect(proxy.address(), builder.initial_window_size(1)).await;
        let answer = ask(&sender, INVOKE_PATH, "answer_bytes=600", b"{}").await.expect("a head");
        let (content, end) = whole(answer).await;
        assert!(end.is_ok() && content.len() == 600, "{}: {end:?}", content.len());
    });
}

fn who_reads_slowly_holds_nobody_up(driver: DriverChoice) {
    let (proxy, _stand_in) = pair(driver, "");
    run(async {
        let mut builder = client::Builder::new();
        let builder = builder.initial_window_size(65_535).initial_connection_window_size(1 << 20);
        let sender = connect(proxy.address(), builder).await;
        let large = "answer_bytes=4000000; framing=chunked";
        let slow = ask(&sender, INVOKE_PATH, large, b"{}").await.expect("a head");
        for _ in 0..20 {
            let answer = ask(&sender, INVOKE_PATH, "", b"{}").await.expect("a head");
            let (content, end) = whole(answer).await;
            assert!(end.is_ok() && !content.is_empty());
        }
        let (content, end) = whole(slow).await;
        assert!(end.is_ok() && content.len() == 4_000_000, "{}: {end:?}", content.len());
    });
}

fn a_stream_that_is_reset_is_cancelled_upstream(driver: DriverChoice) {
    let (proxy, stand_in) = pair(driver, ONE_ATTEMPT);
    run(async {
        let sender = connect(proxy.address(), &client::Builder::new()).await;
        let gated = ask(&sender, STREAM_PATH, "gate; frames=8", b"{}");
        let release = async {
            while stand_in.record().requests() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stand_in.release_frames(1);
        };
        let (answer, ()) = tokio::join!(gated, release);
        drop(answer.expect("a head")); // RST_STREAM, CANCEL
        let gone = || stand_in.record().clients_gone() == 1;
        while !gone() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let answer = ask(&sender, INVOKE_PATH, "gate=off", b"{}").await.expect("a head");
        assert_eq!(answer.status(), 200, "the connection lives on");
    });
    let rows = proxy.rows(2);
    assert!(rows.iter().any(|row| row["outcome"] == "client_gone"), "{rows:#?}");
}

fn a_stream_that_breaks_off_never_ends_in_order(driver: DriverChoice) {
    let (proxy, _stand_in) = pair(driver, ONE_ATTEMPT);
    run(async {
        let sender = connect(proxy.address(), &client::Builder::new()).await;
        let cuts = [
            (STREAM_PATH, "close=in_content"),
            (STREAM_PATH, "reset=in_content"),
            (STREAM_PATH, "bad_crc=3"),
            (INVOKE_PATH, "close=in_content; answer_bytes=1000000"),
            (INVOKE_PATH, "short_content=1"),
        ];
        for (path, directives) in cuts {
            // A reset overtakes what the codec has not sent yet, the head included.
            let end = match ask(&sender, path, directives, b"{}").await {
                Ok(answer) => whole(answer).await.1,
                Err(error) => Err(error),
            };
            let error = end.expect_err(directives);
            assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{directives}");
        }
        let between = "close=after_frames:2; frames_per_write=1";
        let answer = ask(&sender, STREAM_PATH, between, b"{}").await.expect("a head");
        let (content, end) = whole(answer).await;
        let content = content.escape_ascii().to_string();
        assert!(end.is_ok() && content.contains("modelStreamErrorException"), "{content}");
    });
}

/// Frames by hand: the JS SDK says GOAWAY as soon as it has an answer's head.
fn a_clients_goaway_ends_no_stream(driver: DriverChoice) {
    let (proxy, stand_in) = pair(driver, "");
    let mut raw = Raw::connect(proxy.address());
    raw.ask(STREAM_PATH, &[("x-amzn-bedrock-mock", "gate; frames=4; frames_per_write=1")]);
    let release = || stand_in.release_frames(1);
    assert!(stand_in.record().wait(WAIT_MAX, |it| it.requests() == 1));
    release();
    assert_eq!(raw.until(HEADERS).1, 4, "a head, and END_HEADERS alone");
    raw.send(GOAWAY, 0, 0, &[0; 8]);
    (0..20).for_each(|_| release());
    let mut content = 0;
    loop {
        let (_, flags, payload) = raw.until(DATA);
        content += payload.len();
        if flags & 1 == 1 {
            break;
        }
    }
    assert!(content > 500, "all of it came: {content}");
    assert_eq!(proxy.rows(1)[0]["outcome"], "whole");
    raw.check_closed();
}

fn at_the_end_streams_finish(driver: DriverChoice) {
    let (proxy, stand_in) = pair(driver, "");
    run(async {
        let sender = connect(proxy.address(), &client::Builder::new()).await;
        let gated = ask(&sender, STREAM_PATH, "gate; frames=4", b"{}");
        let release = async {
            while stand_in.record().requests() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stand_in.release_frames(1);
        };
        let (answer, ()) = tokio::join!(gated, release);
        let ending = std::thread::spawn(move || proxy.end());
        // Nothing more is taken: it says so, and the stream goes on.
        let refused = async {
            while let Ok(answer) = ask(&sender, "/health/liveliness", "", b"").await {
                drop(answer);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        refused.await;
        stand_in.release_frames(20);
        let (content, end) = whole(answer.expect("a head")).await;
        assert!(end.is_ok() && content.len() > 500, "{}: {end:?}", content.len());
        ending.join().expect("it ends in order");
    });
}

fn after_so_many_requests_it_is_told_to_go(driver: DriverChoice) {
    let (proxy, _stand_in) = pair(driver, "outcrop:\n  max_requests_per_connection: 3\n");
    run(async {
        let sender = connect(proxy.address(), &client::Builder::new()).await;
        let mut answered = 0;
        while let Ok(answer) = ask(&sender, INVOKE_PATH, "", b"{}").await {
            assert!(answer.status() == 200 && whole(answer).await.1.is_ok());
            answered += 1;
            assert!(answered < 50, "it is never told to go");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(answered >= 3, "{answered}");
    });
}

fn the_preface_may_be_cut_anywhere(driver: DriverChoice) {
    let (proxy, _stand_in) = pair(driver, "");
    for cut in 1..PREFACE.len() {
        let mut raw = Raw::connect_cut(proxy.address(), cut);
        raw.ask("/health/liveliness", &[]);
        raw.until(HEADERS);
    }
    // And what begins like it is HTTP/1.1.
    let mut client = proxy.connect();
    client.send("P");
    std::thread::park_timeout(Duration::from_millis(20));
    client.send(&request(INVOKE, BEARER, b"{}")[1..]);
    assert_eq!(client.answer().head.status, 200);
}

fn what_could_smuggle_resets_its_stream(driver: DriverChoice) {
    let (proxy, stand_in) = pair(driver, "");
    let bad: [(&str, &[(&str, &str)]); 11] = [
        ("/bedrock/model/claude/invoke HTTP/1.1\r\nx: y", &[]),
        ("/bedrock/model/claude/ invoke", &[]),
        ("/bedrock/model/claude\0/invoke", &[]),
        ("http://elsewhere/bedrock/model/claude/invoke", &[]),
        (INVOKE_PATH, &[("x", "a\r\nb: c")]),
        (INVOKE_PATH, &[("x", "a\0")]),
        (INVOKE_PATH, &[("host", "elsewhere")]),
        (INVOKE_PATH, &[("connection", "close")]),
        (INVOKE_PATH, &[("transfer-encoding", "chunked")]),
        (INVOKE_PATH, &[("te", "gzip")]),
        (INVOKE_PATH, &[("X-Upper", "a")]),
    ];
    for (path, fields) in bad {
        let mut raw = Raw::connect(proxy.address());
        raw.ask(path, fields);
        let (kind, _, payload) = raw.until_any(&[RST_STREAM, GOAWAY, HEADERS]);
        let is_refused = match kind {
            RST_STREAM => payload == 1_u32.to_be_bytes(),
            // h2 itself: what cannot even be decoded ends the connection.
            GOAWAY => payload[4..8] == 1_u32.to_be_bytes(),
            _ => false,
        };
        assert!(is_refused, "{path:?} {fields:?}: frame {kind}, {payload:?}");
    }
    assert_eq!(stand_in.record().requests(), 0);
}

fn curl_speaks_it(driver: DriverChoice) {
    let (proxy, _stand_in) = pair(driver, "");
    let url = format!("http://{}{INVOKE_PATH}", proxy.address());
    for (way, version) in [("--http2-prior-knowledge", "2"), ("--http2", "1.1")] {
        let mut curl = crate::clients::bounded(20, Path::new("curl"));
        curl.args([
            "-sS",
            way,
            "-o",
            "/dev/null",
            "-w",
            "%{http_code} %{http_version}",
            "-d",
            "{}",
        ]);
        curl.args(["-H", BEARER.trim_end(), &url]);
        let output = curl.output().expect("coreutils");
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("not found")
            || said.contains("No such file")
            || said.contains("not support")
        {
            return crate::skip("http2::curl_speaks_it", "there is no curl with HTTP/2");
        }
        let expected = format!("200 {version}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{way}: {said}");
    }
    assert!(within(|| proxy.rows(2).len() == 2));
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// A connection whose frames are made by hand.
struct Raw(TcpStream);

impl Raw {
    fn connect(address: SocketAddr) -> Self {
        Self::connect_cut(address, PREFACE.len())
    }

    fn connect_cut(address: SocketAddr, cut: usize) -> Self {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("no delay");
        stream.set_read_timeout(Some(WAIT_MAX)).expect("a time-out");
        let (before, after) = PREFACE.split_at(cut);
        stream.write_all(before).expect("it reads");
        if !after.is_empty() {
            // Long enough to arrive apart; if it is not, the test proves less.
            std::thread::park_timeout(Duration::from_millis(5));
            stream.write_all(after).expect("it reads");
        }
        let mut raw = Self(stream);
        raw.send(SETTINGS, 0, 0, &[]);
        raw
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.0.write_all(&[&head, payload].concat()).expect("it reads");
    }

    /// HEADERS of stream 1 that end it, with literal fields that are not indexed (RFC 7541 §6.2.2).
    fn ask(&mut self, path: &str, fields: &[(&str, &str)]) {
        let key = format!("Bearer {KEY}");
        let own = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "proxy"),
            (":path", path),
            ("authorization", &key),
        ];
        let mut block = Vec::new();
        for (name, value) in own.iter().chain(fields) {
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).ok().filter(|it| *it < 127).expect("short"));
                block.extend_from_slice(text.as_bytes());
            }
        }
        self.send(HEADERS, 4 | 1, 1, &block);
    }

    /// The next frame of this kind.
    fn until(&mut self, kind: u8) -> (u8, u8, Vec<u8>) {
        self.until_any(&[kind])
    }

    fn until_any(&mut self, kinds: &[u8]) -> (u8, u8, Vec<u8>) {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).expect("a frame");
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).expect("a whole frame");
            if kinds.contains(&head[3]) {
                return (head[3], head[4], payload);
            }
        }
    }

    /// It closes once it is done, with this end still open.
    fn check_closed(mut self) {
        let mut rest = Vec::new();
        self.0.shutdown(std::net::Shutdown::Write).expect("a FIN");
        self.0.read_to_end(&mut rest).expect("the proxy closes in order");
    }
}
