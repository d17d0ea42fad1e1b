//! The process: how it starts or refuses to, how it stops, and what it never prints.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::{Options, StandIn};

use crate::http::{Client, End, request};
use crate::proxy::{
    BEARER, Deployment, INVOKE, KEY, STREAM, ca_file, config_file, under_both_drivers,
};
use crate::running::{Running, answers_ready, free_port, path, scratch, within};

/// The stand-in's, which the configurations here hold.
const SECRET: &str = "outcrop-stand-in-secret";

under_both_drivers!(
    a_stop_right_after_the_start_is_in_order,
    a_stream_may_finish_after_sigterm,
    a_request_may_come_after_sigterm,
    what_outlasts_the_grace_is_cut,
    a_second_sigterm_ends_it_at_once,
    the_start_up_line_names_the_driver,
    no_secret_is_printed,
);

/// The proxy in a process of its own, before a stand-in.
fn start(driver: DriverChoice, name: &str) -> (Running, StandIn) {
    start_with(driver, name, "")
}

fn start_with(driver: DriverChoice, name: &str, general: &str) -> (Running, StandIn) {
    let stand_in = StandIn::start(Options::default()).expect("a stand-in");
    let ca = ca_file(&stand_in).expect("it speaks TLS");
    let config = config_file(driver, &[Deployment::to(stand_in.address())], general);
    let (ca, config) = (text(&ca), text(&config));
    let arguments = ["--config", config, "--host", "127.0.0.1", "--num_workers", "2"];
    let running = Running::start(name, &arguments, &[("SSL_CERT_FILE", ca)], answers_ready);
    (running, stand_in)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

fn connect(running: &Running) -> Client {
    Client::connect(([127, 0, 0, 1], running.port).into())
}

fn is_refused(running: &Running) -> bool {
    TcpStream::connect(("127.0.0.1", running.port)).is_err()
}

/// The port answers before anybody listens for signals: one that comes in between must not kill.
fn a_stop_right_after_the_start_is_in_order(driver: DriverChoice) {
    let nobody = ([127, 0, 0, 1], free_port()).into();
    let config = config_file(driver, &[Deployment::plain(nobody)], "");
    let arguments = ["--config", text(&config), "--host", "127.0.0.1", "--num_workers", "1"];
    for _ in 0..5 {
        let mut running = Running::spawn("stopped-early", &[], &arguments, &[]);
        while is_refused(&running) && running.exited().is_none() {
            std::thread::yield_now();
        }
        running.signal();
        let status = running.wait();
        assert!(status.is_some_and(|it| it.success()), "{status:?}\n{}", running.said());
    }
}

fn a_stream_may_finish_after_sigterm(driver: DriverChoice) {
    let (mut running, stand_in) = start(driver, "draining");
    let mut idle = connect(&running);
    assert_eq!(idle.ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
    let silent = connect(&running);
    let mut client = connect(&running);
    let fields = format!("{BEARER}X-Amzn-Bedrock-Mock: frames=3; gate\r\n");
    client.send(request(STREAM, &fields, b"{}"));
    stand_in.release_frames(1);
    let head = client.head().expect("a head");
    let mut content = client.chunk().expect("the first frame");
    running.signal();
    idle.check_closed();
    silent.check_closed();
    assert!(within(|| is_refused(&running)), "new connections are taken:\n{}", running.said());
    assert!(running.exited().is_none(), "it waits for what is in flight:\n{}", running.said());
    stand_in.release_frames(1000);
    assert_eq!(client.content(&head, &mut content), End::Clean, "{}", running.said());
    client.check_closed();
    let status = running.wait();
    assert!(status.is_some_and(|status| status.success()), "{status:?}\n{}", running.said());
    assert!(running.said().contains("stopping"), "{}", running.said());
}

/// Clients that keep connections learn from an answer that theirs ends, and lose no request to a close.
fn a_request_may_come_after_sigterm(driver: DriverChoice) {
    let (mut running, stand_in) = start(driver, "last-request");
    let mut kept = [connect(&running), connect(&running), connect(&running)];
    for client in &mut kept {
        let answer = client.ask(request(INVOKE, BEARER, b"{}"));
        assert_ne!(answer.head.field("connection"), Some("close"), "{answer:?}");
    }
    let mut streaming = connect(&running);
    let fields = format!("{BEARER}X-Amzn-Bedrock-Mock: frames=3; gate\r\n");
    streaming.send(request(STREAM, &fields, b"{}"));
    stand_in.release_frames(1);
    let head = streaming.head().expect("a head");
    running.signal();
    assert!(within(|| is_refused(&running)), "new connections are taken:\n{}", running.said());
    let [mut first, mut ready, mut alive] = kept;
    let last = first.ask(request(INVOKE, BEARER, b"{}"));
    assert_eq!((last.head.status, last.end), (200, End::Clean), "{last:?}");
    assert_eq!(last.head.field("connection"), Some("close"), "{last:?}");
    for (client, path, status) in [(&mut ready, "readiness", 503), (&mut alive, "liveliness", 200)]
    {
        let answer = client.ask(format!("GET /health/{path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(answer.head.status, status, "{answer:?}");
        assert_eq!(answer.head.field("connection"), Some("close"), "{answer:?}");
    }
    [first, ready, alive].into_iter().for_each(Client::check_closed);
    stand_in.release_frames(1000);
    assert_eq!(streaming.content(&head, &mut Vec::new()), End::Clean, "{}", running.said());
    let status = running.wait();
    assert!(status.is_some_and(|status| status.success()), "{status:?}\n{}", running.said());
}

fn what_outlasts_the_grace_is_cut(driver: DriverChoice) {
    let (mut running, stand_in) =
        start_with(driver, "no-grace", "outcrop:\n  shutdown_grace_s: 1\n");
    let mut client = connect(&running);
    let fields = format!("{BEARER}X-Amzn-Bedrock-Mock: frames=3; gate\r\n");
    client.send(request(STREAM, &fields, b"{}"));
    stand_in.release_frames(1);
    let head = client.head().expect("a head");
    running.signal();
    assert_ne!(client.content(&head, &mut Vec::new()), End::Clean, "a cut is a cut");
    let status = running.wait();
    assert!(status.is_some_and(|status| status.success()), "{status:?}\n{}", running.said());
}

fn a_second_sigterm_ends_it_at_once(driver: DriverChoice) {
    let (mut running, stand_in) = start(driver, "ending");
    let mut client = connect(&running);
    let fields = format!("{BEARER}X-Amzn-Bedrock-Mock: frames=3; gate\r\n");
    client.send(request(STREAM, &fields, b"{}"));
    stand_in.release_frames(1);
    let head = client.head().expect("a head");
    running.signal();
    assert!(within(|| running.said().contains("stopping")), "{}", running.said());
    assert!(running.exited().is_none(), "the stream is in flight");
    running.signal();
    let status = running.wait();
    assert!(status.is_some_and(|status| status.success()), "{status:?}\n{}", running.said());
    assert_ne!(client.content(&head, &mut Vec::new()), End::Clean, "a cut is a cut");
    drop(stand_in);
}

fn the_start_up_line_names_the_driver(driver: DriverChoice) {
    let (running, _stand_in) = start(driver, "starting");
    let name = if driver == DriverChoice::Epoll { "epoll" } else { "io_uring" };
    let said = running.said();
    assert!(said.contains(&format!("event loop: {name}")), "{said}");
    let address = format!("listening on http://127.0.0.1:{} with 1 deployments", running.port);
    assert!(said.contains(&address), "{said}");
    let status = running.end();
    assert!(status.is_some_and(|status| status.success()), "SIGTERM gave {status:?}");
}

fn no_secret_is_printed(driver: DriverChoice) {
    let (running, stand_in) = start(driver, "silent");
    let mut client = connect(&running);
    let content = b"{\"prompt\":\"a-secret-of-the-user\"}";
    for directives in ["status=500", "close=before_head", "close=in_head", "surplus=9"] {
        let fields = format!("{BEARER}X-Amzn-Bedrock-Mock: {directives}\r\n");
        client.ask(request(INVOKE, &fields, content));
    }
    client.ask(request(INVOKE, "api-key: sk-of-somebody-else\r\n", content));
    stand_in.stop();
    client.ask(request(INVOKE, BEARER, content)).check_fault(503, "ServiceUnavailableException");
    assert!(within(|| running.said().contains("cannot connect")), "{}", running.said());
    check_silence(&running.said());
}

fn check_silence(said: &str) {
    for secret in [KEY, SECRET, "a-secret-of-the-user", "sk-of-somebody-else", "Signature="] {
        assert!(!said.contains(secret), "{secret} is in:\n{said}");
    }
}

/// Runs `outcrop` to its end, which must come by itself.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let output: Output = Command::new("timeout")
        .args(["30", env!("CARGO_BIN_EXE_outcrop")])
        .args(arguments)
        .env_clear()
        .env("PATH", path())
        .env("RUST_BACKTRACE", "1")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("outcrop starts");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!err.contains("panicked") && !err.contains("stack backtrace"), "{err}");
    check_silence(&out);
    check_silence(&err);
    (output.status.code(), out, err)
}

#[test]
fn check_explains_a_good_file() {
    let at = ([127, 0, 0, 1], 8443).into();
    let deployments = [Deployment::to(at).with_id("one"), Deployment::to(at).with_id("two")];
    let config = config_file(DriverChoice::Epoll, &deployments, "");
    let (code, out, err) = run(&["check", "--config", text(&config)], &[]);
    assert_eq!(code, Some(0), "{out}{err}");
    for expected in ["one", "two", "claude", "us-east-1", "https://localhost:8443"] {
        assert!(out.contains(expected), "{expected} is not in:\n{out}");
    }
}

#[test]
fn a_bad_file_is_refused_with_file_line_and_key() {
    let config = scratch("flow-bad.yaml");
    let bad = format!(
        "model_list:\n  - model_name: claude\n    litellm_params:\n      model: bedrock/x\n      \
         aws_region_name: \"us east\"\n      aws_access_key_id: AKIAOUTCROPSTANDIN00\n      \
         aws_secret_access_key: {SECRET}\n      api_key: os.environ/OUTCROP_NO_SUCH_VARIABLE\n\
         general_settings:\n  master_key: {KEY}\n  max_request_size_mb: much\n"
    );
    std::fs::write(&config, bad).expect("a writable target/tmp");
    let config = text(&config);
    for arguments in [&["check", "--config", config][..], &["--config", config, "--port", "0"]] {
        let (code, out, err) = run(arguments, &[]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
        for expected in [&format!("{config}:5"), "aws_region_name", "max_request_size_mb"] {
            assert!(err.contains(expected), "{expected} is not in:\n{err}");
        }
        assert!(err.contains("OUTCROP_NO_SUCH_VARIABLE"), "{err}");
    }
    let (code, _, err) = run(&["check", "--config", "/no/such/file.yaml"], &[]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("/no/such/file.yaml"), "{err}");
    assert_eq!(run(&[], &[]).0, Some(2), "nothing to serve");
    assert_eq!(run(&["--no-such-flag"], &[]).0, Some(2));
}

#[test]
fn an_open_door_to_the_network_is_refused() {
    let at = ([127, 0, 0, 1], 8443).into();
    let config = config_file(DriverChoice::Epoll, &[Deployment::to(at)], "");
    let with_key = std::fs::read_to_string(&config).expect("the file just written");
    for weak in ["", "  master_key: sk-1234\n"] {
        let text_without = with_key.replace(&format!("  master_key: {KEY}\n"), weak);
        let text_without = text_without.replace("general_settings:\noutcrop", "outcrop");
        std::fs::write(&config, text_without).expect("a writable target/tmp");
        for host in ["0.0.0.0", "::"] {
            let arguments = ["--config", text(&config), "--host", host, "--port", "0"];
            let (code, _, err) = run(&arguments, &[]);
            assert_eq!(code, Some(2), "{err}");
            assert!(err.contains("refusing to listen") && err.contains("master_key"), "{err}");
        }
    }
}

#[test]
fn a_taken_port_is_an_error_and_not_shared() {
    let at = ([127, 0, 0, 1], free_port()).into();
    let config = config_file(DriverChoice::Epoll, &[Deployment::to(at)], "");
    let arguments = ["--config", text(&config), "--host", "127.0.0.1", "--num_workers", "1"];
    let first = Running::start("first", &arguments, &[], answers_ready);
    let port = first.port.to_string();
    let again: Vec<&str> = arguments.iter().copied().chain(["--port", &port]).collect();
    let (code, _, err) = run(&again, &[]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{err}");
    assert!(answers_ready(first.port), "the first one is not disturbed");
}
