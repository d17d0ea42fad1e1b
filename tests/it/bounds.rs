//! What a core takes on at once: what is beyond is refused at once, and what is under way goes on.

use outcrop::{
    control_plane::config::DriverChoice,
    mock_bedrock::{Options, StandIn},
};

use crate::{
    http::{Client, End, request},
    proxy::{BEARER, Deployment, INVOKE, Proxy, STREAM, under_both_drivers},
    running::within,
};

under_both_drivers!(
    requests_beyond_what_may_be_under_way_are_shed,
    content_beyond_what_may_be_held_is_shed,
    connections_beyond_are_told_so,
    a_connection_ends_after_so_many_requests,
);

fn start(driver: DriverChoice, general: &str) -> (Proxy, StandIn) {
    let options = Options { tls: false, ..Options::default() };
    let stand_in = StandIn::start(options).expect("a stand-in");
    let deployment = Deployment::plain(stand_in.address());
    (Proxy::start(driver, None, &[deployment], general), stand_in)
}

fn held() -> String {
    format!("{BEARER}X-Amzn-Bedrock-Mock: gate; frames=4; frames_per_write=1\r\n")
}

fn metric(proxy: &Proxy, name: &str) -> u64 {
    let text = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n");
    let page = proxy.connect().ask(text.into_bytes());
    let text = String::from_utf8(page.content).expect("UTF-8");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
    value.expect("the metric").1.parse().expect("a number")
}

fn check_shed(client: &mut Client, content: &[u8]) {
    let answer = client.ask(request(INVOKE, BEARER, content));
    answer.check_fault(503, "ServiceUnavailableException");
    assert_eq!(answer.head.field("retry-after"), Some("1"));
}

fn requests_beyond_what_may_be_under_way_are_shed(driver: DriverChoice) {
    let (proxy, stand_in) = start(driver, "  max_in_flight_requests_per_worker: 2\n");
    let mut streams = [proxy.connect(), proxy.connect()];
    for stream in &mut streams {
        stream.send(request(STREAM, &held(), b"{}"));
    }
    assert!(within(|| stand_in.record().requests() == 2), "both are under way");
    let mut third = proxy.connect();
    check_shed(&mut third, b"{}");
    // The connection is none the worse, and neither are pages.
    let page = format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n");
    assert_eq!(third.ask(page.into_bytes()).head.status, 200);
    assert_eq!(metric(&proxy, "outcrop_requests_shed_total"), 1);
    stand_in.release_frames(100);
    for stream in &mut streams {
        let answer = stream.answer();
        assert_eq!((answer.head.status, answer.end), (200, End::Clean));
    }
    assert_eq!(third.ask(request(INVOKE, BEARER, b"{}")).head.status, 200, "there is room again");
    assert_eq!(stand_in.record().requests(), 3, "what was shed went nowhere");
}

fn content_beyond_what_may_be_held_is_shed(driver: DriverChoice) {
    let (proxy, stand_in) = start(driver, "outcrop:\n  max_content_in_flight_mb_per_worker: 1\n");
    let (large, small) = (vec![b'x'; 700_000], vec![b'x'; 400_000]);
    let mut one = proxy.connect();
    let stalled = format!("{BEARER}X-Amzn-Bedrock-Mock: delay_ms=1500\r\n");
    one.send(request(INVOKE, &stalled, &large));
    assert!(within(|| stand_in.record().requests() == 1), "its content is held");
    check_shed(&mut proxy.connect(), &small);
    let mut chunked = proxy.connect();
    let chunks = crate::http::chunked_request(INVOKE, BEARER, &small, &[10_000], ("", ""));
    chunked.try_send(&chunks);
    chunked.answer().check_fault(503, "ServiceUnavailableException");
    let answer = one.answer();
    assert_eq!((answer.head.status, answer.end), (200, End::Clean));
    // All of it was given back, and one alone may have all.
    for content in [&large, &small, &large] {
        let answer = proxy.connect().ask(request(INVOKE, BEARER, content));
        assert_eq!(answer.head.status, 200);
    }
    check_shed(&mut proxy.connect(), &vec![b'x'; 1_100_000]);
}

fn connections_beyond_are_told_so(driver: DriverChoice) {
    let (proxy, _stand_in) = start(driver, "outcrop:\n  max_connections_per_worker: 3\n");
    let mut open: Vec<Client> = (0..3).map(|_| proxy.connect()).collect();
    for client in &mut open {
        assert_eq!(client.ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
    }
    let mut fourth = proxy.connect();
    fourth.try_send(request(INVOKE, BEARER, b"{}"));
    let answer = fourth.answer();
    answer.check_fault(503, "ServiceUnavailableException");
    assert_eq!(answer.head.field("connection"), Some("close"));
    drop((fourth, open.pop()));
    assert!(
        within(|| {
            let mut next = proxy.connect();
            next.try_send(request(INVOKE, BEARER, b"{}")) && next.answer().head.status == 200
        }),
        "there is room again"
    );
    for client in &mut open {
        assert_eq!(client.ask(request(INVOKE, BEARER, b"{}")).head.status, 200, "they go on");
    }
}

fn a_connection_ends_after_so_many_requests(driver: DriverChoice) {
    let (proxy, stand_in) = start(driver, "outcrop:\n  max_requests_per_connection: 3\n");
    for _ in 0..2 {
        let mut client = proxy.connect();
        for at in 1..=3 {
            let answer = client.ask(request(INVOKE, BEARER, b"{}"));
            assert_eq!((answer.head.status, answer.end), (200, End::Clean));
            let says = answer.head.field("connection");
            assert_eq!(says == Some("close"), at == 3, "{at}: {says:?}");
        }
        assert!(client.head().is_none(), "and it is closed");
    }
    assert_eq!(stand_in.record().requests(), 6);
}
