//! What only the control plane can answer, through a core: metrics, spend, prices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use outcrop::boundary::errand::{self, ErrandReader, Page};
use outcrop::boundary::{
    counters, notice,
    orders::Orders,
    snapshot::{Published, Snapshot},
};
use outcrop::control_plane::config::{self, DriverChoice, Environment};
use outcrop::control_plane::names::Names;
use outcrop::control_plane::prepare;
use outcrop::data_plane::worker::{self, Equipment, Start};
use outcrop::limits::ERRANDS_MAX;
use outcrop::net::runtime::{Driver, probe_io_uring};
use outcrop::net::tcp::Bound;
use outcrop::net::tls::{Certificates, trusted_roots};
use serde_json::{Value, json};

use crate::http::{Answer, Client, End, chunked_request, request};
use crate::proxy::{
    BEARER, Deployment, INVOKE, MODEL, Pair, Proxy, config_file, under_both_drivers,
};
use crate::running::{free_port, within};

under_both_drivers!(
    metrics_are_for_those_with_a_key,
    metrics_may_be_opened_to_all,
    a_price_is_asked_for_in_any_framing,
    a_wrong_question_is_refused_as_aws_would,
    pages_take_their_turn_among_requests,
    a_page_that_nobody_waits_for_harms_nobody,
    a_proxy_ends_in_order_without_a_signal,
    a_large_page_comes_whole,
    a_page_that_is_late_holds_nobody_else_up,
    without_a_control_plane_there_are_no_pages,
    too_many_pages_at_once_are_refused,
    a_panic_in_one_exchange_is_counted,
);

const CALCULATE: &str = "POST /spend/calculate HTTP/1.1";

/// A proxy that has nobody to ask.
fn alone(driver: DriverChoice, settings: &str) -> Proxy {
    let at = ([127, 0, 0, 1], free_port()).into();
    Proxy::start(driver, None, &[Deployment::plain(at)], settings)
}

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

fn check_metrics(answer: &Answer) {
    assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{answer:?}");
    let field = |name| answer.head.field(name);
    assert_eq!(field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(field("x-litellm-call-id").is_some() && field("date").is_some());
    let text = String::from_utf8(answer.content.clone()).expect("UTF-8");
    assert!(text.contains("outcrop_build_info{version=\""), "{text}");
    assert!(text.ends_with('\n') && text.lines().all(|line| !line.is_empty()), "{text}");
}

fn metrics_are_for_those_with_a_key(driver: DriverChoice) {
    let proxy = alone(driver, "");
    let mut client = proxy.connect();
    client.ask(get("/metrics", "")).check_fault(403, "MissingAuthenticationTokenException");
    for target in ["/metrics", "/metrics/", "/metrics?x=y"] {
        check_metrics(&client.ask(get(target, BEARER)));
    }
    // RFC 9110 §9.3.2: GET's fields, no content, and the next answer in its place.
    client.send(get("/metrics", BEARER).replace("GET", "HEAD"));
    let head = client.head().expect("a head");
    assert!(head.status == 200 && head.field("content-length").is_some_and(|it| it != "0"));
    let wrong = client.ask(request("POST /metrics HTTP/1.1", BEARER, b"{}"));
    wrong.check_fault(405, "UnknownOperationException");
    assert_eq!(wrong.head.field("allow"), Some("GET, HEAD"));
    check_metrics(&client.ask(get("/metrics", BEARER)));
}

fn metrics_may_be_opened_to_all(driver: DriverChoice) {
    let open = "litellm_settings:\n  require_auth_for_metrics_endpoint: false\n";
    let proxy = alone(driver, open);
    let mut client = proxy.connect();
    check_metrics(&client.ask(get("/metrics", "")));
    check_metrics(&client.ask(get("/metrics", "api-key: wrong\r\n")));
    for target in ["/spend/logs", "/global/spend/report"] {
        client.ask(get(target, "")).check_fault(403, "MissingAuthenticationTokenException");
    }
}

fn cost(answer: &Answer) -> Value {
    assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{answer:?}");
    answer.check_own();
    answer.json()["cost"].clone()
}

fn a_price_is_asked_for_in_any_framing(driver: DriverChoice) {
    let proxy = alone(driver, "");
    let mut client = proxy.connect();
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 10});
    for model in ["claude", MODEL] {
        let content = json!({"model": model, "usage": usage}).to_string().into_bytes();
        // $0.80 and $4 a million tokens.
        let answer = client.ask(request(CALCULATE, BEARER, &content));
        assert_eq!(cost(&answer), "0.00084", "{answer:?}");
        let chunked = chunked_request(CALCULATE, BEARER, &content, &[7], ("", ""));
        assert_eq!(cost(&client.ask(chunked)), "0.00084");
    }
    client
        .ask(request(CALCULATE, "", b"{}"))
        .check_fault(403, "MissingAuthenticationTokenException");
}

fn a_wrong_question_is_refused_as_aws_would(driver: DriverChoice) {
    let proxy = alone(driver, "");
    let mut client = proxy.connect();
    let refused = |client: &mut Client, target: &str, part: &str| {
        let answer = client.ask(get(target, BEARER));
        answer.check_fault(400, "ValidationException");
        let message = answer.json()["message"].to_string();
        assert!(message.contains(part), "{message}");
    };
    refused(&mut client, "/global/spend/report?group_by=team", "model, deployment, api_key or day");
    refused(&mut client, "/spend/logs?limit=0", "limit");
    client
        .ask(get(CALCULATE.split(' ').nth(1).expect("a path"), BEARER))
        .check_fault(405, "UnknownOperationException");
    client.ask(request(CALCULATE, BEARER, b"{")).check_fault(400, "ValidationException");
    let large = format!("{BEARER}Content-Length: {}\r\n", (1 << 20) + 1);
    client.send(format!("{CALCULATE}\r\nHost: a\r\n{large}\r\n"));
    let head = client.head().expect("a refusal before the content");
    assert_eq!(head.status, 413);
    // Content of unknown length is counted as it comes.
    let mut client = proxy.connect();
    let large = vec![b' '; (1 << 20) + 1];
    let answer = client.ask(chunked_request(CALCULATE, BEARER, &large, &[1 << 16], ("", "")));
    answer.check_fault(413, "RequestEntityTooLargeException");
}

fn pages_take_their_turn_among_requests(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let mut client = pair.proxy.connect();
    let content = json!({"model": "claude", "usage": {"prompt_tokens": 1, "completion_tokens": 0}});
    let all = [
        request(INVOKE, BEARER, b"{}"),
        request(CALCULATE, BEARER, content.to_string().as_bytes()),
        get("/metrics", BEARER).into(),
        request(INVOKE, BEARER, b"{}"),
        get("/global/spend/report?group_by=x", BEARER).into(),
    ];
    client.send(all.concat());
    assert_eq!(client.answer().head.status, 200);
    assert_eq!(cost(&client.answer()), "0.0000008");
    check_metrics(&client.answer());
    assert_eq!(client.answer().head.status, 200);
    client.answer().check_fault(400, "ValidationException");
}

fn a_page_that_nobody_waits_for_harms_nobody(driver: DriverChoice) {
    let proxy = alone(driver, "");
    for _ in 0..200 {
        let mut client = proxy.connect();
        client.send(get("/metrics", BEARER));
    }
    // Those that wait are dropped as their turn comes; until then more are refused, and told to try again.
    within(|| proxy.connect().ask(get("/metrics", BEARER)).head.status == 200);
    check_metrics(&proxy.connect().ask(get("/metrics", BEARER)));
}

fn a_proxy_ends_in_order_without_a_signal(driver: DriverChoice) {
    let proxy = alone(driver, "");
    let address = proxy.address();
    let mut client = proxy.connect();
    check_metrics(&client.ask(get("/metrics", BEARER)));
    proxy.end();
    client.check_closed();
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}

/// A fault of ours costs one connection: a group here names a deployment that is not there.
fn a_panic_in_one_exchange_is_counted(driver: DriverChoice) {
    let core = Core::with(driver, |snapshot| snapshot.groups[0].members[0].deployment = 99);
    let mut other = Client::connect(core.address);
    let alive = "GET /health/liveliness HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(other.ask(alive).head.status, 200);
    for round in 1..=3 {
        let mut client = Client::connect(core.address);
        client.send(request("POST /bedrock/model/claude/invoke HTTP/1.1", BEARER, b"{}"));
        client.check_closed();
        assert!(within(|| core.counters.read().panics == round));
        assert_eq!(other.ask(alive).head.status, 200, "the core lives, and so do its others");
    }
    assert!(within(|| core.counters.read().in_flight == 0), "what panicked is not under way");
    let told: Vec<_> =
        std::iter::from_fn(|| core.notices.next()).map(|it| it.to_string()).collect();
    assert!(told.len() == 3 && told[0].contains("panicked"), "{told:?}");
}

/// A core alone: the control plane is the test.
struct Core {
    address: SocketAddr,
    errands: Option<ErrandReader>,
    counters: counters::CoreReader,
    notices: notice::NoticeReader,
    orders: Arc<Orders>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Core {
    fn start(driver: DriverChoice) -> Self {
        Self::with(driver, |_| {})
    }

    /// With a snapshot that no configuration makes.
    fn with(driver: DriverChoice, change: impl FnOnce(&mut Snapshot)) -> Self {
        let nobody = ([127, 0, 0, 1], free_port()).into();
        let file = config_file(driver, &[Deployment::plain(nobody)], "");
        let loaded = config::load(&file, &Environment::default()).expect("no errors");
        std::fs::remove_file(&file).expect("a file of ours");
        let mut lasting = prepare::Lasting::default();
        let mut names = Names::in_memory();
        let snapshot = prepare::snapshot(&loaded.settings, &mut lasting, &mut names);
        let mut snapshot = snapshot.expect("names in memory");
        change(&mut snapshot);
        let (counters, counts) = counters::channel();
        let (notices, notice_reader) = notice::channel();
        let bound = Bound::listen(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = bound.address().expect("its address");
        let (errands, reader) = errand::channel();
        let orders = Arc::new(Orders::default());
        orders.grace_ms.store(10_000, Ordering::Relaxed);
        let trusted = trusted_roots(None).expect("Mozilla's");
        let certificates = Arc::new(ArcSwap::from_pointee(Certificates { trusted, server: None }));
        let start = Start {
            bound: vec![bound],
            core: None,
            driver: match driver {
                DriverChoice::Epoll => Driver::Epoll,
                _ => Driver::IoUring(probe_io_uring(1).expect("it was granted")),
            },
            equipment: Equipment {
                published: Arc::new(Published::new(snapshot)),
                certificates,
                number: 0,
                ledger: None,
                counters,
                budget: Arc::new(outcrop::policy::budget::RetryBudget::new(1)),
                notices,
                errands,
            },
            orders: orders.clone(),
        };
        let thread = Some(std::thread::spawn(move || worker::run(start)));
        let (counters, notices) = (counts, notice_reader);
        Self { address, errands: Some(reader), counters, notices, orders, thread }
    }

    fn errand(&mut self) -> errand::Errand {
        self.errands.as_mut().and_then(ErrandReader::blocking_recv).expect("an errand")
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.orders.is_draining.store(true, Ordering::Relaxed);
        self.orders.must_end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(std::thread::panicking() || matches!(ended, Ok(Ok(()))), "{ended:?}");
        }
    }
}

fn page(content: Vec<u8>) -> Page {
    Page { status: 200, content_type: "a/b".into(), error_type: None, content: content.into() }
}

fn a_large_page_comes_whole(driver: DriverChoice) {
    let mut core = Core::start(driver);
    let mut client = Client::connect(core.address);
    for size in [0, 1, 64 << 10, (64 << 10) + 1, 5_000_000] {
        let content: Vec<u8> = (0..size).map(|at: u32| at.to_le_bytes()[at as usize % 3]).collect();
        client.send(get("/spend/logs?limit=7", BEARER));
        let (question, asker) = core.errand().take();
        assert_eq!((question.method, question.target.as_str()), ("GET", "/spend/logs?limit=7"));
        asker.answer(page(content.clone()));
        let answer = client.answer();
        assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{size}");
        assert_eq!(answer.head.field("content-type"), Some("a/b"));
        assert!(answer.content == content, "{size} bytes come as {}", answer.content.len());
        client.send(get("/spend/logs", BEARER).replace("GET", "HEAD"));
        let (question, asker) = core.errand().take();
        assert_eq!(question.method, "GET", "the page is the same");
        asker.answer(page(content));
        let head = client.head().expect("a head");
        assert_eq!(head.field("content-length"), Some(size.to_string().as_str()));
    }
}

fn a_page_that_is_late_holds_nobody_else_up(driver: DriverChoice) {
    let mut core = Core::start(driver);
    let mut slow = Client::connect(core.address);
    slow.send(request(CALCULATE, BEARER, b"{\"content\": 1}"));
    let (question, asker) = core.errand().take();
    assert_eq!((question.method, &question.content[..]), ("POST", &b"{\"content\": 1}"[..]));
    let other = Client::connect(core.address).ask(get("/health/liveliness", ""));
    assert_eq!(other.head.status, 200);
    let mut gone = Client::connect(core.address);
    gone.send(get("/metrics", BEARER));
    let (_, nobody) = core.errand().take();
    assert!(!nobody.is_gone());
    gone.reset();
    assert!(within(|| nobody.is_gone()), "who left is waited for");
    nobody.answer(page(b"late".to_vec()));
    asker.answer(page(b"at last".to_vec()));
    assert_eq!(slow.answer().content, b"at last");
}

fn without_a_control_plane_there_are_no_pages(driver: DriverChoice) {
    let mut core = Core::start(driver);
    let mut client = Client::connect(core.address);
    client.send(get("/metrics", BEARER));
    drop(core.errand());
    client.answer().check_fault(503, "ServiceUnavailableException");
    core.errands = None;
    let answer = client.ask(get("/metrics", BEARER));
    answer.check_fault(503, "ServiceUnavailableException");
    assert_eq!(answer.head.field("retry-after"), Some("1"));
    assert_eq!(client.ask(get("/v1/models", BEARER)).head.status, 200, "the core serves on");
}

fn too_many_pages_at_once_are_refused(driver: DriverChoice) {
    let mut core = Core::start(driver);
    let connect = |_| Client::connect(core.address);
    let mut waiting: Vec<Client> = (0..ERRANDS_MAX).map(connect).collect();
    waiting.iter_mut().for_each(|client| client.send(get("/metrics", BEARER)));
    let errands = |core: &Core| core.errands.as_ref().map_or(0, ErrandReader::len);
    assert!(within(|| errands(&core) == ERRANDS_MAX), "{} wait", errands(&core));
    let mut refused = Client::connect(core.address);
    refused.ask(get("/metrics", BEARER)).check_fault(503, "ServiceUnavailableException");
    for _ in 0..ERRANDS_MAX {
        core.errand().take().1.answer(page(b"up".to_vec()));
    }
    waiting.iter_mut().for_each(|client| assert_eq!(client.answer().content, b"up"));
    refused.send(get("/metrics", BEARER));
    core.errand().take().1.answer(page(b"up".to_vec()));
    assert_eq!(refused.answer().content, b"up", "there is room again");
}
