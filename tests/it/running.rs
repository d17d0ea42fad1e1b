//! The binary under test, from start to end: free ports, readiness, logs, and an end by pid.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// How long a process of ours may take to come up, or to end once told.
const TURNS_MAX: u32 = 600;
const TURN: Duration = Duration::from_millis(50);

/// A running `outcrop`. Dropping it ends it.
pub struct Running {
    child: Child,
    log: PathBuf,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
}

impl Running {
    /// Starts `outcrop` with `arguments` and `environment` alone (and `PATH`), `--port` added, its words
    /// written to a file named for `name`. It is up once `ready` says so of its port.
    pub fn start(
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
        ready: impl Fn(u16) -> bool,
    ) -> Self {
        let mut running = Self::spawn(name, &[], arguments, environment);
        let port = running.port;
        let up = within(|| running.exited().is_some() || ready(port));
        assert!(up && running.exited().is_none(), "{name} is not up:\n{}", running.said());
        running
    }

    /// The same without waiting for anything; by `wrapper`, a command that becomes the one it is given, if
    /// that is not empty.
    pub fn spawn(
        name: &str,
        wrapper: &[&str],
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let port = free_port();
        let log = scratch(&format!("{name}-{port}.log"));
        let words = File::create(&log).expect("a writable target/tmp");
        let command = [wrapper, &[env!("CARGO_BIN_EXE_outcrop")]].concat();
        let child = Command::new(command[0])
            .args(&command[1..])
            .args(arguments)
            .args(["--port", &port.to_string()])
            .env_clear()
            .env("PATH", path())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(words.try_clone().expect("a second handle"))
            .stderr(words)
            .spawn()
            .expect("outcrop starts");
        Self { child, log, port }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and it is no more.
    pub fn kill(mut self) {
        self.child.kill().expect("a process of ours");
        self.child.wait().expect("a process of ours");
    }

    /// What it printed so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGTERM, as a service manager would; the status it ends with, `None` if it does not end.
    pub fn end(mut self) -> Option<ExitStatus> {
        self.terminate()
    }

    /// SIGTERM, and no waiting.
    pub fn signal(&self) {
        self.send("-TERM");
    }

    /// SIGHUP, as logrotate would, and no waiting.
    pub fn hang_up(&self) {
        self.send("-HUP");
    }

    fn send(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args([signal, &pid]).stderr(Stdio::null()).status();
    }

    /// Waits for it to end by itself; the status, `None` if it does not end.
    pub fn wait(&mut self) -> Option<ExitStatus> {
        within(|| self.exited().is_some());
        self.exited()
    }

    fn terminate(&mut self) -> Option<ExitStatus> {
        self.signal();
        self.wait()
    }

    /// The status, if it has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.exited().is_none() && self.terminate().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Whether `/health/readiness` answers 200.
pub fn answers_ready(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let ask = b"GET /health/readiness HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut answer = Vec::new();
    stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
        && stream.write_all(ask).is_ok()
        && stream.read_to_end(&mut answer).is_ok()
        && answer.starts_with(b"HTTP/1.1 200")
}

/// A port that was free a moment ago, and that nobody gets by chance: it is below those the kernel gives
/// to whoever binds port 0, as all the other tests do, and each is given once.
pub fn free_port() -> u16 {
    const RANGE: std::ops::Range<u16> = 18_000..30_000;
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let width = RANGE.end - RANGE.start;
    let start = u16::try_from(std::process::id() % u32::from(width)).expect("below the width");
    let is_free = |port: &u16| is_ours(*port) && TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = (0..width).map(|_| {
        let offset = start.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % width;
        RANGE.start + offset
    });
    ports.find(is_free).expect("a free port")
}

/// Whether no other run of these tests has the port: two proxies may listen on one (SO_REUSEPORT), and each
/// would get a part of the other's clients. The lock goes with this process.
fn is_ours(port: u16) -> bool {
    let path = std::env::temp_dir().join(format!("outcrop-it-port-{port}"));
    // One that another user's run has made is locked by it, for all we know.
    let file = File::options().create(true).truncate(false).write(true).open(path);
    file.is_ok_and(|file| {
        let is_ours = file.try_lock().is_ok();
        std::mem::forget(file);
        is_ours
    })
}

/// A path for a test's own file, below `target/`.
pub fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()))
}

/// The search path, which the processes we start need and get.
pub fn path() -> String {
    #[expect(clippy::disallowed_methods, reason = "handed on to child processes")]
    let path = std::env::var("PATH");
    path.unwrap_or_else(|_| "/usr/bin:/bin".into())
}

/// Waits, bounded, for another process: there is nothing to be woken by.
pub fn within(mut done: impl FnMut() -> bool) -> bool {
    for _ in 0..TURNS_MAX {
        if done() {
            return true;
        }
        #[expect(clippy::disallowed_methods, reason = "polls another process, on a test's thread")]
        std::thread::sleep(TURN);
    }
    done()
}
