//! Faults of the surroundings: descriptors that run out, a clock that is wrong, a kernel that refuses io_uring.

use std::path::Path;

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::{Options, StandIn};

use crate::http::{Client, End, request};
use crate::proxy::{
    BEARER, Deployment, INVOKE, Pair, STREAM, ca_file, config_file, under_both_drivers,
};
use crate::running::{Running, answers_ready, free_port, within};

under_both_drivers!(
    descriptors_run_out_and_come_back,
    a_clock_that_is_wrong_is_corrected,
    a_wrong_key_is_no_matter_of_clocks,
);

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// The number of a metric, asked on a connection that is open already.
fn metric(client: &mut Client, name: &str) -> u64 {
    let answer = client.ask(format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n"));
    let page = String::from_utf8(answer.content).expect("UTF-8");
    let mut lines = page.lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    line.unwrap_or_else(|| unreachable!("no {name} in:\n{page}"))
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

/// A clock that is an hour off, then two the other way, then right: one request each is sent twice, and no client
/// notices.
fn a_clock_that_is_wrong_is_corrected(driver: DriverChoice) {
    let pair = Pair::start(driver);
    let requests = || pair.stand_in.record().requests();
    let mut client = pair.proxy.connect();
    for (round, ahead_s) in (1_u64..).zip([3_600, -7_200, 0, 86_400 * 400]) {
        pair.stand_in.set_clock_ahead(ahead_s);
        let before = requests();
        for line in [INVOKE, STREAM, INVOKE] {
            let answer = client.ask(request(line, BEARER, b"{}"));
            assert_eq!(
                (answer.head.status, answer.end),
                (200, End::Clean),
                "{ahead_s}: {answer:?}"
            );
        }
        assert_eq!(requests(), before + 4, "once more after the first refusal, {round}");
    }
    // Within what AWS lets pass nothing is done twice.
    pair.stand_in.set_clock_ahead(86_400 * 400 + 120);
    let before = requests();
    assert_eq!(client.ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
    assert_eq!(requests(), before + 1);
    let rows = pair.proxy.rows(13);
    let sent: u64 = rows.iter().map(|row| row["attempts"].as_u64().expect("a number")).sum();
    assert_eq!(sent, requests());
    assert!(rows.iter().all(|row| row["status"] == "success"), "{rows:#?}");
}

/// A signature that is refused for another reason is not sent again, whatever the time.
fn a_wrong_key_is_no_matter_of_clocks(driver: DriverChoice) {
    let wrong = |it: Deployment| vec![it.param("aws_secret_access_key", "wrong")];
    let pair = Pair::with(driver, Options::default(), wrong, "");
    let mut client = pair.proxy.connect();
    assert_eq!(client.ask(request(INVOKE, BEARER, b"{}")).head.status, 403);
    assert_eq!(pair.stand_in.record().requests(), 1);
    // With a clock that is wrong, too, it is once.
    pair.stand_in.set_clock_ahead(3_600);
    assert_eq!(client.ask(request(INVOKE, BEARER, b"{}")).head.status, 403);
    assert_eq!(pair.stand_in.record().requests(), 3);
}

#[test]
fn the_operator_hears_of_the_clock() {
    let stand_in = StandIn::start(Options::default()).expect("a stand-in");
    stand_in.set_clock_ahead(-3_600);
    let ca = ca_file(&stand_in).expect("it speaks TLS");
    let config = config_file(DriverChoice::Epoll, &[Deployment::to(stand_in.address())], "");
    let arguments = ["--config", text(&config), "--host", "127.0.0.1", "--num_workers", "1"];
    let environment = [("SSL_CERT_FILE", text(&ca))];
    let running = Running::start("clock", &arguments, &environment, answers_ready);
    let mut client = Client::connect(([127, 0, 0, 1], running.port).into());
    assert_eq!(client.ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
    let said = || running.said().contains(" s behind this machine's");
    assert!(within(said), "{}", running.said());
    assert!(running.said().contains("(NTP)"), "{}", running.said());
}

/// Under a profile that refuses io_uring, as containers' do: `auto` runs on epoll and says why; `io_uring` refuses
/// to start, and says what to do.
#[test]
fn a_kernel_that_refuses_io_uring_is_named() {
    let nobody = ([127, 0, 0, 1], free_port()).into();
    for (driver, code) in [("auto", 0), ("io_uring", 1)] {
        let config = config_file(DriverChoice::IoUring, &[Deployment::plain(nobody)], "");
        let words = std::fs::read_to_string(&config).expect("ours");
        let words = words.replace("driver: io_uring", &format!("driver: {driver}"));
        std::fs::write(&config, words).expect("writable");
        let arguments = ["--config", text(&config), "--host", "127.0.0.1", "--num_workers", "1"];
        let wrapper = ["python3", "-c", WITHOUT_IO_URING];
        let mut running = Running::spawn("no-io-uring", &wrapper, &arguments, &[]);
        let port = running.port;
        let up = || answers_ready(port);
        if code == 0 {
            assert!(within(|| running.exited().is_some() || up()), "{}", running.said());
            let said = running.said();
            assert!(said.contains("event loop: epoll: the kernel refuses io_uring: "), "{said}");
            assert!(running.end().is_some_and(|status| status.success()));
        } else {
            let status = running.wait().expect("it ends");
            let said = running.said();
            assert_eq!(status.code(), Some(code), "{said}");
            assert!(
                said.contains("outcrop.driver is io_uring, but the kernel refuses it"),
                "{said}"
            );
            assert!(said.contains("seccomp") && said.contains("outcrop.driver: auto"), "{said}");
        }
    }
}

/// Makes io_uring_setup (425 on every architecture) fail with EPERM for what it becomes, as Docker's profile does:
/// `load nr; if nr == 425 return ERRNO|EPERM; return ALLOW`.
const WITHOUT_IO_URING: &str = "
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
filter = b''.join(struct.pack('HBBI', *line) for line in
                  [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)])
program = ctypes.create_string_buffer(filter)
class Fprog(ctypes.Structure):
    _fields_ = [('len', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Fprog(4, ctypes.addressof(program)))) == 0
os.execv(sys.argv[1], sys.argv[1:])
";
