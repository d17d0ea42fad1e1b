//! Faults of the surroundings: descriptors that run out, a clock that is wrong, a kernel that refuses io_uring.

use std::path::Path;

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::{Options, StandIn};

use crate::http::{Client, End, request};
use crate::proxy::{BEARER, Deployment, INVOKE, ca_file, config_file, under_both_drivers};
use crate::running::{Running, answers_ready, within};

under_both_drivers!(descriptors_run_out_and_come_back);

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// The number of a metric, asked on a connection that is open already.
fn metric(client: &mut Client, name: &str) -> u64 {
    let answer = client.ask(format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n"));
    let page = String::from_utf8(answer.content).expect("UTF-8");
    let mut lines = page.lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    line.unwrap_or_else(|| panic!("no {name} in:\n{page}"))
}

/// Clients beyond what the limit allows wait in the kernel's queue; those that are served stay served, with
/// connections to AWS, too; and all are served once there is room.
fn descriptors_run_out_and_come_back(driver: DriverChoice) {
    let stand_in = StandIn::start(Options::default()).expect("a stand-in");
    let ca = ca_file(&stand_in).expect("it speaks TLS");
    let config = config_file(driver, &[Deployment::to(stand_in.address())], "");
    let wrapper = ["bash", "-c", "ulimit -n 100; exec \"$@\"", "bash"];
    let arguments = ["--config", text(&config), "--host", "127.0.0.1", "--num_workers", "1"];
    let mut running =
        Running::spawn("descriptors", &wrapper, &arguments, &[("SSL_CERT_FILE", text(&ca))]);
    let port = running.port;
    let up = within(|| running.exited().is_some() || answers_ready(port));
    assert!(up && running.exited().is_none(), "{}", running.said());
    let connect = || Client::connect(([127, 0, 0, 1], port).into());
    let mut kept = connect();
    assert_eq!(kept.ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
    let many: Vec<Client> = (0..120)
        .map(|_| {
            let mut client = connect();
            client.send(request(INVOKE, BEARER, b"{}"));
            client
        })
        .collect();
    let failures = "outcrop_accept_failures_total{core=\"0\"}";
    assert!(within(|| metric(&mut kept, failures) > 0), "{}", running.said());
    assert!(within(|| running.said().contains("cannot accept connections")), "{}", running.said());
    // Idle connections to AWS are of no use to it: it needs one of its own.
    let fields = format!("{BEARER}X-Amzn-Bedrock-Mock: close=idle\r\n");
    for _ in 0..3 {
        let answer = kept.ask(request(INVOKE, &fields, b"{}"));
        assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{answer:?}");
    }
    for (at, mut client) in many.into_iter().enumerate() {
        let answer = client.answer();
        assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{at}: {answer:?}");
    }
    let before = metric(&mut kept, failures);
    for _ in 0..30 {
        assert_eq!(connect().ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
    }
    assert_eq!(metric(&mut kept, failures), before, "there is room again");
    assert!(running.end().is_some_and(|status| status.success()));
}
