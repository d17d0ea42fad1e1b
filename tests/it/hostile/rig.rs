//! What the hostile tests stand on: the proxy in this process, in front of a stand-in or a script, and
//! a client that sends bytes exactly as told and reads answers by rules of its own.

#![expect(clippy::panic, reason = "fails a test, in words that say what the proxy sent")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use outcrop::control_plane::bind::Bind;
use outcrop::control_plane::config::{self, Environment};
use outcrop::control_plane::supervisor::{self, Running};
use outcrop::mock_bedrock::{Authority, Options, StandIn};

use crate::running::scratch;

/// The key that the proxy under test wants.
pub const KEY: &str = "sk-hostile-1/x";
/// What is behind the name `claude`.
pub const MODEL: &str = "us.anthropic.claude-sonnet-4-20250514-v1:0";
/// A path that leads to [`MODEL`].
pub const INVOKE: &str = "/bedrock/model/claude/invoke";
/// Our AWS secret: no client may ever see it.
pub const SECRET: &str = "outcrop-stand-in-secret";
/// How long a client waits before it calls it a hang.
const PATIENCE: Duration = Duration::from_secs(10);

/// Added to a configuration: the other driver than the one that the kernel would get.
pub const EPOLL: &str = "outcrop:\n  driver: epoll\n";

/// Panics on the proxy's own threads, in this process.
static CORE_PANICS: AtomicUsize = AtomicUsize::new(0);

/// The proxy, with one core. Dropping it ends it, and fails the test if a core ever panicked.
pub struct Proxy {
    running: Option<Running>,
    address: SocketAddr,
}

impl Proxy {
    /// In front of `https://` or `http://` upstream at `address`; `settings` is added to the configuration.
    pub fn before(address: SocketAddr, authority: Option<&Authority>, settings: &str) -> Self {
        watch_for_panics();
        static PROXIES: AtomicUsize = AtomicUsize::new(0);
        let ordinal = PROXIES.fetch_add(1, Ordering::Relaxed);
        let scheme = if authority.is_some() { "https" } else { "http" };
        let port = address.port();
        let entry = |name: &str| {
            format!(
                "  - model_name: {name}\n    litellm_params:\n      model: bedrock/{MODEL}\n      \
                 aws_region_name: us-east-1\n      aws_access_key_id: AKIAOUTCROPSTANDIN00\n      \
                 aws_secret_access_key: {SECRET}\n      \
                 aws_bedrock_runtime_endpoint: {scheme}://localhost:{port}\n"
            )
        };
        let text = format!(
            "model_list:\n{}{}router_settings:\n  num_retries: 0\n\
             general_settings:\n  master_key: {KEY}\n{settings}",
            entry("claude"),
            entry("team/claude")
        );
        let file = scratch(&format!("hostile-{ordinal}.yaml"));
        std::fs::write(&file, text).expect("a writable target/tmp");
        let mut environment = Vec::new();
        let ca = scratch(&format!("hostile-{ordinal}.pem"));
        if let Some(authority) = authority {
            authority.write_pem(&ca).expect("a writable target/tmp");
            environment.push(("SSL_CERT_FILE", ca.to_str().expect("UTF-8")));
        }
        let loaded = config::load(&file, &Environment::from_pairs(environment)).expect("valid");
        let bind = Bind { address: ([127, 0, 0, 1], 0).into(), reason: None };
        let running = supervisor::start(&loaded.settings, &bind, 1).expect("the proxy starts");
        let address = running.address();
        Self { running: Some(running), address }
    }

    /// A connection to it.
    pub fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).expect("the proxy listens");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        Client { stream, unread: Vec::new() }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.running.take());
        if !std::thread::panicking() {
            assert_eq!(CORE_PANICS.load(Ordering::Relaxed), 0, "a core panicked");
        }
    }
}

fn watch_for_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let thread = std::thread::current();
            if thread.name().is_some_and(|name| name.starts_with("outcrop-core")) {
                CORE_PANICS.fetch_add(1, Ordering::Relaxed);
            }
            usual(info);
        }));
    });
}

/// A stand-in that speaks plain HTTP, and a proxy in front of it.
pub fn plain() -> (StandIn, Proxy) {
    plain_with("")
}

/// As [`plain`], with `settings` added to the configuration.
pub fn plain_with(settings: &str) -> (StandIn, Proxy) {
    let stand_in = StandIn::start(Options { tls: false, ..Options::default() }).expect("it starts");
    let proxy = Proxy::before(stand_in.address(), None, settings);
    (stand_in, proxy)
}

/// A whole request to [`INVOKE`]: `fields` are lines of their own, `content` is sent as it stands.
pub fn invoke(fields: &str, content: &str) -> Vec<u8> {
    format!(
        "POST {INVOKE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n{fields}\r\n{content}"
    )
    .into_bytes()
}

/// [`invoke`] with content of a known length, and nothing odd about it.
pub fn good() -> Vec<u8> {
    invoke("Content-Length: 2\r\n", "{}")
}

/// One answer, read strictly.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Status line and fields, as sent.
    pub head: String,
    pub content: Vec<u8>,
}

impl Answer {
    /// The value of the only field called `name`.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.head.lines().skip(1).filter_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        });
        let value = found.next();
        assert!(found.next().is_none(), "{name} is there twice:\n{}", self.head);
        value
    }

    /// A refusal of ours: the shape that SDKs understand, and nothing of our secrets.
    pub fn check_fault(&self, case: &str) {
        let content = String::from_utf8_lossy(&self.content);
        assert!(self.field("x-amzn-errortype").is_some(), "{case}: {}", self.head);
        assert!(self.field("date").is_some() && self.field("x-amzn-requestid").is_some(), "{case}");
        assert_eq!(self.field("content-type"), Some("application/json"), "{case}");
        let is_message = content.starts_with("{\"message\":\"") && content.ends_with("\"}");
        assert!(is_message, "{case}: {content}");
        for secret in [KEY, SECRET, MODEL, "AKIAOUTCROPSTANDIN00"] {
            assert!(!content.contains(secret) && !self.head.contains(secret), "{case}: {secret}");
        }
    }
}

/// How a connection ended, or did not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum End {
    Answer(Answer),
    /// Closed or reset, with these bytes of an answer before it.
    Cut(Vec<u8>),
}

impl End {
    /// The answer, which must be whole.
    pub fn whole(self, case: &str) -> Answer {
        match self {
            Self::Answer(answer) => answer,
            Self::Cut(bytes) => panic!("{case}: cut after {:?}", String::from_utf8_lossy(&bytes)),
        }
    }
}

/// A client of bytes.
pub struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    /// Sends all; a proxy that has closed already does not matter here.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Waits longer than the proxy's own time-out for a head.
    pub fn wait_long(&self) {
        self.stream.set_read_timeout(Some(3 * PATIENCE)).expect("a socket");
    }

    /// Sends each byte by itself.
    pub fn send_each_byte(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.send(&[*byte]));
    }

    /// FIN, with reading still possible.
    pub fn half_close(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// RST.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("a socket");
    }

    /// The next final answer; interim ones are skipped.
    pub fn answer(&mut self) -> End {
        self.answer_to("POST")
    }

    /// As [`Self::answer`], to a request with `method`.
    pub fn answer_to(&mut self, method: &str) -> End {
        loop {
            let Some(head_end) = self.until(|bytes| memchr::memmem::find(bytes, b"\r\n\r\n"))
            else {
                return End::Cut(std::mem::take(&mut self.unread));
            };
            let head = String::from_utf8_lossy(&self.unread[..head_end]).into_owned();
            let status = head.get(9..12).and_then(|digits| digits.parse().ok());
            let status: u16 = status.unwrap_or_else(|| panic!("no status line: {head}"));
            if status < 200 {
                self.unread.drain(..head_end + 4);
                continue;
            }
            let mut answer = Answer { status, head, content: Vec::new() };
            let Some((content, end)) = self.content(&answer, head_end + 4, method) else {
                return End::Cut(std::mem::take(&mut self.unread));
            };
            answer.content = content;
            self.unread.drain(..end);
            return End::Answer(answer);
        }
    }

    /// Content from `start` of what is unread, and where it ends; `None` if it was cut.
    fn content(&mut self, head: &Answer, start: usize, method: &str) -> Option<(Vec<u8>, usize)> {
        if method == "HEAD" || matches!(head.status, 204 | 304) {
            return Some((Vec::new(), start));
        }
        if let Some(length) = head.field("content-length") {
            let length: usize = length.parse().expect("a length");
            let end = start.checked_add(length)?;
            self.until(|bytes| (bytes.len() >= end).then_some(end))?;
            return Some((self.unread[start..end].to_vec(), end));
        }
        if head.field("transfer-encoding") == Some("chunked") {
            return self.chunks(start);
        }
        let (mut more, mut rest) = (true, Vec::new());
        while more {
            match self.read() {
                Ok(count) => more = count > 0,
                Err(_reset) => return None,
            }
        }
        rest.extend_from_slice(&self.unread[start..]);
        Some((rest, self.unread.len()))
    }

    fn chunks(&mut self, mut at: usize) -> Option<(Vec<u8>, usize)> {
        let mut content = Vec::new();
        loop {
            let line = self.until(|bytes| memchr::memmem::find(bytes.get(at..)?, b"\r\n"))?;
            let size = str::from_utf8(&self.unread[at..at + line]).expect("ASCII");
            let size = usize::from_str_radix(size, 16).expect("a chunk size");
            let (data, end) = (at + line + 2, at + line + 2 + size + 2);
            self.until(|bytes| (bytes.len() >= end).then_some(end))?;
            assert_eq!(&self.unread[end - 2..end], b"\r\n", "a chunk ends in CRLF");
            content.extend_from_slice(&self.unread[data..end - 2]);
            at = end;
            if size == 0 {
                return Some((content, at));
            }
        }
    }

    /// Asserts that the proxy closed, and sent nothing more before it did.
    pub fn check_closed(&mut self, case: &str) {
        while matches!(self.read(), Ok(count) if count > 0) {}
        let rest = String::from_utf8_lossy(&self.unread);
        assert!(rest.is_empty(), "{case}: more than one answer: {rest}");
    }

    fn until(&mut self, mut found: impl FnMut(&[u8]) -> Option<usize>) -> Option<usize> {
        loop {
            if let Some(found) = found(&self.unread) {
                return Some(found);
            }
            if !matches!(self.read(), Ok(count) if count > 0) {
                return None;
            }
        }
    }

    /// 0 is the end; an error is a reset.
    fn read(&mut self) -> std::io::Result<usize> {
        let mut room = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut room) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("it hangs; so far: {}", String::from_utf8_lossy(&self.unread))
                }
                result => {
                    let count = result?;
                    self.unread.extend_from_slice(&room[..count]);
                    return Ok(count);
                }
            }
        }
    }
}

/// Sends `request` and, behind it, a request that must never be executed: one refusal with one of
/// `statuses`, a close, and nothing upstream.
pub fn check_refused(pair: &(StandIn, Proxy), case: &str, request: &[u8], statuses: &[u16]) {
    let (stand_in, proxy) = pair;
    let before = stand_in.record().requests();
    let mut client = proxy.client();
    client.send(&[request, &good()].concat());
    let answer = client.answer().whole(case);
    assert!(statuses.contains(&answer.status), "{case}: {}", answer.head);
    assert_eq!(answer.field("connection"), Some("close"), "{case}");
    answer.check_fault(case);
    client.check_closed(case);
    let record = stand_in.record();
    assert_eq!(record.requests(), before, "{case}: it went upstream");
    assert_eq!(record.contents_broken() + record.heads_refused(), 0, "{case}: part went upstream");
}

/// Asserts that the proxy is well: a plain request gets its answer, and nothing was broken upstream.
pub fn check_well(pair: &(StandIn, Proxy)) {
    let (stand_in, proxy) = pair;
    let mut client = proxy.client();
    client.send(&good());
    assert_eq!(client.answer().whole("a good request").status, 200);
    assert_eq!(stand_in.record().anomalies(), Vec::<String>::new());
    assert_eq!(stand_in.record().contents_broken() + stand_in.record().heads_refused(), 0);
}
