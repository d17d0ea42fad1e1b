//! SIGUSR2: another binary takes over, and no client notices; or it does not, and nothing has happened.

use std::io::Write as _;
use std::{
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::{Options, StandIn};

use crate::http::{Client, End, request};
use crate::proxy::{BEARER, Deployment, INVOKE, STREAM, ca_file, config_file, under_both_drivers};
use crate::running::{Running, answers_ready, path, scratch, within};

under_both_drivers!(
    a_stream_goes_on_in_the_process_that_began_it,
    one_that_does_not_start_changes_nothing,
    a_stop_ends_the_one_that_starts,
    swaps_under_load_fail_nobody,
);

/// A proxy whose binary can be put another in the place of.
struct Rig {
    running: Running,
    config: PathBuf,
    binary: PathBuf,
    ca: PathBuf,
    stand_in: StandIn,
    swaps: usize,
}

impl Rig {
    fn start(driver: DriverChoice, name: &str) -> Self {
        let stand_in = StandIn::start(Options::default()).expect("a stand-in");
        let config = config_file(driver, &[Deployment::to(stand_in.address())], "");
        let ca = ca_file(&stand_in).expect("it speaks TLS");
        let word = if driver == DriverChoice::Epoll { "epoll" } else { "io_uring" };
        let binary = scratch(&format!("{name}-{word}-outcrop"));
        std::fs::copy(env!("CARGO_BIN_EXE_outcrop"), &binary).expect("writable");
        // The shell becomes our copy, in the place of the binary that it is given.
        let script = format!("shift; exec '{}' \"$@\"", text(&binary));
        let wrapper = ["bash", "-c", script.as_str(), "bash"];
        let arguments = ["--config", text(&config), "--host", "127.0.0.1", "--num_workers", "2"];
        let mut running =
            Running::spawn(name, &wrapper, &arguments, &[("SSL_CERT_FILE", text(&ca))]);
        let port = running.port;
        let up = within(|| running.exited().is_some() || answers_ready(port));
        assert!(up && running.exited().is_none(), "{name} is not up:\n{}", running.said());
        Self { running, config, binary, ca, stand_in, swaps: 0 }
    }

    /// Puts another file in the binary's place.
    fn put(&self, content: &[u8]) {
        let new = self.binary.with_extension("new");
        std::fs::write(&new, content).expect("writable");
        std::fs::set_permissions(&new, PermissionsExt::from_mode(0o755)).expect("ours");
        std::fs::rename(&new, &self.binary).expect("writable");
    }

    fn put_outcrop(&self) {
        self.put(&std::fs::read(env!("CARGO_BIN_EXE_outcrop")).expect("readable"));
    }

    fn said(&self) -> String {
        self.running.said()
    }

    /// SIGUSR2 to `process`, and another serves: its number.
    fn swap(&mut self, process: u32) -> u32 {
        self.put_outcrop();
        self.swaps += 1;
        send("-USR2", process);
        let serving = || {
            let said = self.said();
            let mut all = said.lines().filter(|line| line.ends_with(", which serves"));
            let line = all.nth(self.swaps - 1)?;
            line.split(' ').nth(5)?.trim_end_matches(',').parse().ok()
        };
        assert!(within(|| serving().is_some()), "{}", self.said());
        serving().expect("just seen")
    }

    /// SIGUSR2, and it fails.
    fn swap_in_vain(&self) {
        let failed = || self.said().matches("HAND-OVER FAILED").count();
        let before = failed();
        send("-USR2", self.running.pid());
        assert!(within(|| failed() > before), "{}", self.said());
    }

    fn connect(&self) -> Client {
        Client::connect(([127, 0, 0, 1], self.running.port).into())
    }

    /// Ends one that is not our child, in order.
    fn end(&self, process: u32) {
        send("-TERM", process);
        assert!(within(|| has_ended(process)), "{}", self.said());
    }

    /// Requests that have an account.
    fn accounts(&self) -> u64 {
        let output = Command::new(env!("CARGO_BIN_EXE_outcrop"))
            .args(["spend", "--config", text(&self.config), "--csv"])
            .env_clear()
            .output()
            .expect("outcrop starts");
        let table = String::from_utf8(output.stdout).expect("UTF-8");
        let rows = table.lines().skip(1).map(|line| line.split(',').nth(2).expect("requests"));
        rows.map(|count| count.parse::<u64>().expect("a number")).sum()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

fn send(signal: &str, process: u32) {
    let sent = Command::new("kill")
        .args([signal, &process.to_string()])
        .env_clear()
        .env("PATH", path())
        .stderr(Stdio::null())
        .status();
    assert!(sent.is_ok_and(|status| status.success()), "process {process} is no more");
}

/// Whether a process is no more, or waits only for somebody to ask how it ended.
fn has_ended(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    stat.map_or(true, |stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

fn a_stream_goes_on_in_the_process_that_began_it(driver: DriverChoice) {
    let mut rig = Rig::start(driver, "hand-over-stream");
    let old = rig.running.pid();
    let mut kept = rig.connect();
    let first = kept.ask(request(INVOKE, BEARER, b"{}"));
    assert_eq!(first.head.status, 200, "{first:?}");
    let idle = rig.connect();
    let mut streaming = rig.connect();
    let fields = format!("{BEARER}X-Amzn-Bedrock-Mock: frames=5; gate\r\n");
    streaming.send(request(STREAM, &fields, b"{}"));
    rig.stand_in.release_frames(1);
    let head = streaming.head().expect("a head");
    let mut content = streaming.chunk().expect("the first frame");
    let new = rig.swap(old);
    assert!(new != old && !has_ended(old));
    // Who keeps a connection to the old one is served there, and told.
    let mut asked = 1;
    assert!(within(|| {
        let answer = kept.ask(request(INVOKE, BEARER, b"{}"));
        asked += 1;
        assert_eq!(answer.head.status, 200, "{answer:?}");
        answer.head.field("connection") == Some("close")
    }));
    kept.check_closed(); // which shows, too, that the new one has not inherited it
    assert_eq!(rig.connect().ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
    assert!(answers_ready(rig.running.port), "the new one is ready, and takes all");
    // A service manager tells all of a service's processes to end: the old one goes on ending.
    send("-TERM", old);
    rig.stand_in.release_frames(1000);
    assert_eq!(streaming.content(&head, &mut content), End::Clean, "{}", rig.said());
    drop(idle);
    let status = rig.running.wait();
    assert!(status.is_some_and(|status| status.success()), "{status:?}\n{}", rig.said());
    assert_eq!(rig.connect().ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
    rig.end(new);
    assert!(TcpStream::connect(("127.0.0.1", rig.running.port)).is_err());
    assert_eq!(rig.accounts(), asked + 3, "{}", rig.said());
    let ledger = rig.config.with_extension("data").join("outcrop.ledger");
    let files = std::fs::read_dir(ledger).expect("a folder").filter_map(Result::ok);
    let rings: Vec<_> = files.map(|file| file.path()).filter(|it| is_ring(it)).collect();
    assert!(rings.is_empty(), "each has removed its own: {rings:?}");
}

fn is_ring(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "ring")
}

fn one_that_does_not_start_changes_nothing(driver: DriverChoice) {
    let mut rig = Rig::start(driver, "hand-over-vain");
    let mut client = rig.connect();
    let good = std::fs::read(&rig.config).expect("ours");
    std::fs::write(&rig.config, "model_list: 7\n").expect("writable");
    rig.swap_in_vain();
    assert!(rig.said().contains("model_list") && rig.said().contains("exit status: 2"));
    std::fs::write(&rig.config, good).expect("writable");
    rig.put(b"#!/bin/sh\nexit 3\n");
    rig.swap_in_vain();
    assert!(rig.said().contains("exit status: 3"), "{}", rig.said());
    std::fs::remove_file(&rig.binary).expect("ours");
    rig.swap_in_vain();
    assert!(rig.said().contains("cannot be started"), "{}", rig.said());
    let answer = client.ask(request(INVOKE, BEARER, b"{}"));
    assert_eq!(answer.head.status, 200, "{answer:?}");
    assert_ne!(answer.head.field("connection"), Some("close"), "nothing has happened");
    let new = rig.swap(rig.running.pid());
    assert_eq!(rig.connect().ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
    drop(client);
    rig.end(new);
    assert!(rig.running.wait().is_some_and(|status| status.success()), "{}", rig.said());
}

fn a_stop_ends_the_one_that_starts(driver: DriverChoice) {
    let mut rig = Rig::start(driver, "hand-over-stop");
    rig.put(b"#!/bin/sh\nexec sleep 1000\n");
    send("-USR2", rig.running.pid());
    let starting = || {
        let said = rig.said();
        let line = said.lines().find(|line| line.ends_with(", which starts"))?;
        line.split(' ').nth(5)?.trim_end_matches(',').parse::<u32>().ok()
    };
    assert!(within(|| starting().is_some()), "{}", rig.said());
    let starting = starting().expect("just seen");
    assert_eq!(rig.connect().ask(request(INVOKE, BEARER, b"{}")).head.status, 200);
    rig.running.signal();
    let status = rig.running.wait();
    assert!(status.is_some_and(|status| status.success()), "{status:?}\n{}", rig.said());
    assert!(has_ended(starting), "nobody would end it");
}

/// What clients saw, together.
#[derive(Default)]
struct Seen {
    is_over: AtomicBool,
    answered: AtomicU64,
    streams: AtomicU64,
}

/// Three swaps under a thousand requests a second, if the machine gives as many: on kept connections and new
/// ones, beside streams that take longer than a swap.
fn swaps_under_load_fail_nobody(driver: DriverChoice) {
    let mut rig = Rig::start(driver, "hand-over-load");
    let address = ([127, 0, 0, 1], rig.running.port).into();
    let seen = Seen::default();
    let mut processes = vec![rig.running.pid()];
    let began = outcrop::net::clock::now();
    std::thread::scope(|scope| {
        for number in 0..20 {
            let seen = &seen;
            scope.spawn(move || {
                let mut client = Client::connect(address);
                while !seen.is_over.load(Ordering::Relaxed) {
                    let answer = client.ask(request(INVOKE, BEARER, b"{}"));
                    assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{answer:?}");
                    seen.answered.fetch_add(1, Ordering::Relaxed);
                    let is_last = answer.head.field("connection") == Some("close");
                    if is_last || number % 2 == 0 {
                        client = Client::connect(address);
                    }
                    std::thread::park_timeout(Duration::from_millis(7));
                }
            });
        }
        for _ in 0..6 {
            let seen = &seen;
            scope.spawn(move || {
                let fields = format!("{BEARER}X-Amzn-Bedrock-Mock: frames=30; frame_gap_ms=50\r\n");
                while !seen.is_over.load(Ordering::Relaxed) {
                    let answer = Client::connect(address).ask(request(STREAM, &fields, b"{}"));
                    assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{answer:?}");
                    seen.streams.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..3 {
            std::thread::park_timeout(Duration::from_millis(700));
            processes.push(rig.swap(*processes.last().expect("one")));
        }
        std::thread::park_timeout(Duration::from_millis(700));
        seen.is_over.store(true, Ordering::Relaxed);
    });
    let took = outcrop::net::clock::now() - began;
    let last = processes.pop().expect("the last one");
    let (answered, streams) =
        (seen.answered.load(Ordering::Relaxed), seen.streams.load(Ordering::Relaxed));
    assert!(
        within(|| processes.iter().all(|process| {
            *process == rig.running.pid() && rig.running.exited().is_some() || has_ended(*process)
        })),
        "those that handed over end by themselves:\n{}",
        rig.said()
    );
    rig.end(last);
    let rate = answered as f64 / took.as_secs_f64();
    let _ = writeln!(
        std::io::stderr(),
        "{answered} requests ({rate:.0}/s) and {streams} streams over 3 swaps: none failed"
    );
    assert!(answered > 200 && streams > 6, "{answered} requests and {streams} streams are no load");
    assert_eq!(rig.accounts(), answered + streams, "one account each:\n{}", rig.said());
    assert_eq!(rig.stand_in.record().requests(), answered + streams);
    assert!(!rig.said().contains("damaged") && !rig.said().contains("panicked"), "{}", rig.said());
}

impl Drop for Rig {
    fn drop(&mut self) {
        // What a failed test leaves behind: our own successors, by their numbers.
        let said = self.said();
        for line in said.lines().filter(|line| line.contains("handing over to process")) {
            let process = line.split(' ').nth(5).map(|it| it.trim_end_matches(','));
            let Some(process) = process.and_then(|it| it.parse::<u32>().ok()) else { continue };
            let arguments = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            if arguments.starts_with(text(&self.binary).as_bytes()) {
                send("-KILL", process);
            }
        }
        let _ = std::fs::remove_file(&self.binary);
        let _ = &self.ca;
    }
}
