//! What a service manager gives and hears: sockets (`LISTEN_FDS`), and words (`NOTIFY_SOCKET`).

use std::{
    net::{SocketAddr, TcpListener},
    os::{fd::AsRawFd as _, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use outcrop::control_plane::config::DriverChoice;
use outcrop::mock_bedrock::{Options, StandIn};
use socket2::SockRef;

use crate::http::{Client, End, request};
use crate::proxy::{BEARER, Deployment, INVOKE, ca_file, config_file, under_both_drivers};
use crate::running::{Running, answers_ready, path, scratch, within};

under_both_drivers!(
    its_words_are_heard,
    sockets_are_taken_and_left,
    a_restart_refuses_no_connection,
);

/// What the test gives a proxy, as systemd would.
struct Manager {
    config: PathBuf,
    ca: PathBuf,
    _stand_in: StandIn,
}

impl Manager {
    fn new(driver: DriverChoice) -> Self {
        let stand_in = StandIn::start(Options::default()).expect("a stand-in");
        let config = config_file(driver, &[Deployment::to(stand_in.address())], "");
        let ca = ca_file(&stand_in).expect("it speaks TLS");
        Self { config, ca, _stand_in: stand_in }
    }

    /// With these sockets as descriptors from 3 on, and `workers` cores.
    fn activate(&self, name: &str, sockets: &[TcpListener], workers: &str) -> Running {
        let mut script = String::new();
        for (at, socket) in sockets.iter().enumerate() {
            SockRef::from(socket).set_cloexec(false).expect("a socket of ours");
            // Twice, since a number may be one of those that are to be given.
            script += &format!("exec {}<&{}; ", 100 + at, socket.as_raw_fd());
        }
        for at in 0..sockets.len() {
            script += &format!("exec {}<&{} {}<&-; ", 3 + at, 100 + at, 100 + at);
        }
        let count = sockets.len();
        script += &format!("export LISTEN_PID=$$ LISTEN_FDS={count}; exec \"$@\"");
        let wrapper = ["bash", "-c", script.as_str(), "bash"];
        let arguments = ["--config", text(&self.config), "--num_workers", workers];
        let running =
            Running::spawn(name, &wrapper, &arguments, &[("SSL_CERT_FILE", text(&self.ca))]);
        sockets.iter().for_each(|it| SockRef::from(it).set_cloexec(true).expect("ours"));
        running
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

fn ask_one(address: SocketAddr) {
    let answer = Client::connect(address).ask(request(INVOKE, BEARER, b"{}"));
    assert_eq!((answer.head.status, answer.end), (200, End::Clean), "{answer:?}");
}

fn sockets_are_taken_and_left(driver: DriverChoice) {
    let manager = Manager::new(driver);
    // Fewer sockets than cores, and more.
    for (sockets, workers) in [(1, "3"), (3, "2")] {
        let (sockets, addresses): (Vec<_>, Vec<_>) = (0..sockets).map(|_| listen()).unzip();
        let mut running = manager.activate("activated", &sockets, workers);
        for _ in 0..30 {
            addresses.iter().copied().for_each(ask_one);
        }
        let said = running.said();
        assert!(said.contains(&format!("listening on http://{}", addresses[0])), "{said}");
        running.signal();
        assert!(running.wait().is_some_and(|status| status.success()), "{}", running.said());
        // What comes now waits for the next one.
        let waiting: Vec<_> = addresses
            .iter()
            .map(|address| {
                let mut client = Client::connect(*address);
                client.send(request(INVOKE, BEARER, b"{}"));
                client
            })
            .collect();
        let next = manager.activate("activated-next", &sockets, workers);
        for mut client in waiting {
            assert_eq!(client.answer().head.status, 200, "{}", next.said());
        }
        assert!(next.end().is_some_and(|status| status.success()));
    }
}

/// `systemctl restart`, three times, under clients that connect anew for each request.
fn a_restart_refuses_no_connection(driver: DriverChoice) {
    let manager = Manager::new(driver);
    let (socket, address) = listen();
    let sockets = [socket];
    let (is_over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut running = manager.activate("restarted", &sockets, "2");
    std::thread::scope(|scope| {
        for _ in 0..6 {
            let (is_over, answered) = (&is_over, &answered);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    ask_one(address);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..3 {
            let before = answered.load(Ordering::Relaxed);
            assert!(within(|| answered.load(Ordering::Relaxed) > before + 50));
            running.signal();
            assert!(running.wait().is_some_and(|status| status.success()), "{}", running.said());
            running = manager.activate("restarted", &sockets, "2");
        }
        let before = answered.load(Ordering::Relaxed);
        assert!(within(|| answered.load(Ordering::Relaxed) > before + 50));
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(running.end().is_some_and(|status| status.success()));
}

fn its_words_are_heard(driver: DriverChoice) {
    let manager = Manager::new(driver);
    let name = scratch(&format!("notify-{}.sock", driver == DriverChoice::Epoll));
    let socket = UnixDatagram::bind(&name).expect("a writable target/tmp");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    let hear = |what: &str| {
        let mut bytes = [0; 1024];
        for _ in 0..1000 {
            let count = socket.recv(&mut bytes).unwrap_or_else(|_| unreachable!("{what}"));
            let words = String::from_utf8(bytes[..count].to_vec()).expect("UTF-8");
            assert!(!words.contains("STOPPING") || what == "STOPPING=1", "{words}");
            if words.lines().any(|line| line.starts_with(what)) {
                return words;
            }
        }
        unreachable!("{what} does not come")
    };
    let arguments =
        ["--config", text(&manager.config), "--host", "127.0.0.1", "--num_workers", "2"];
    let environment = [
        ("SSL_CERT_FILE", text(&manager.ca)),
        ("NOTIFY_SOCKET", text(&name)),
        ("WATCHDOG_USEC", "400000"),
    ];
    let mut running = Running::start("notifying", &arguments, &environment, answers_ready);
    let old = running.pid();
    let ready = hear("READY=1");
    assert!(ready.lines().any(|line| line == format!("MAINPID={old}")), "{ready}");
    (0..3).for_each(|_| drop(hear("WATCHDOG=1")));
    running.hang_up();
    let reloading = hear("RELOADING=1");
    let us = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(us.is_some_and(|us| us.parse::<u64>().is_ok_and(|us| us > 0)), "{reloading}");
    hear("READY=1");
    kill("-USR2", old);
    // Of the new one, which a manager does not yet heed; then of the old one, which it does.
    let new =
        hear("READY=1").lines().find_map(|line| Some(line.strip_prefix("MAINPID=")?.to_owned()));
    let new = new.expect("its process");
    assert_ne!(new, old.to_string());
    assert_eq!(hear("MAINPID"), format!("MAINPID={new}"), "{}", running.said());
    assert!(running.wait().is_some_and(|status| status.success()), "{}", running.said());
    (0..3).for_each(|_| drop(hear("WATCHDOG=1")));
    kill("-TERM", new.parse().expect("a number"));
    hear("STOPPING=1");
    let gone = || std::net::TcpStream::connect(("127.0.0.1", running.port)).is_err();
    assert!(within(gone), "{}", running.said());
}

fn kill(signal: &str, process: u32) {
    let mut kill = Command::new("kill");
    kill.args([signal, &process.to_string()]).env_clear().env("PATH", path());
    assert!(kill.stderr(Stdio::null()).status().is_ok_and(|status| status.success()));
}

#[test]
fn what_is_no_listening_socket_is_refused_by_number() {
    let at = ([127, 0, 0, 1], 8443).into();
    let config = config_file(DriverChoice::Epoll, &[Deployment::to(at)], "");
    let run = |script: &str| {
        let script = format!("{script}; exec \"$@\"");
        let output = Command::new("timeout")
            .args(["30", "bash", "-c", &script, "bash", env!("CARGO_BIN_EXE_outcrop"), "--config"])
            .arg(&config)
            .env_clear()
            .env("PATH", path())
            .output()
            .expect("outcrop starts");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    for opened in ["exec 3</dev/null", "exec 3<&-"] {
        let (code, said) = run(&format!("{opened}; export LISTEN_PID=$$ LISTEN_FDS=1"));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("descriptor 3, which was passed to be listened on"), "{said}");
    }
    let (code, said) = run("export OUTCROP_HAND_OVER='1;2'");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("OUTCROP_HAND_OVER"), "{said}");
}
