//! Not a test: the proxy in this process, under either driver, in front of upstreams of the test's own.
//!
//! What it starts goes the way of a real start: a config.yaml, `config::load`, `supervisor::start`.

use std::{
    fmt::Write as _,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use outcrop::{
    control_plane::{
        bind::Bind,
        config::{self, DriverChoice, Environment},
        supervisor::{self, Running},
    },
    mock_bedrock::{Options, StandIn},
    net::runtime::probe_io_uring,
};
use socket2::SockRef;

use crate::{
    http::{Client, WAIT_MAX},
    running::scratch,
};

/// The master key of every proxy here.
pub const KEY: &str = "sk-flow-7d1e62a90b534cf8";
/// `KEY` as most clients send it.
pub const BEARER: &str = "Authorization: Bearer sk-flow-7d1e62a90b534cf8\r\n";
/// The model that [`Deployment::to`] asks for.
pub const MODEL: &str = "anthropic.claude-3-5-haiku-20241022-v1:0";
/// Request lines on the group `claude`.
pub const INVOKE: &str = "POST /bedrock/model/claude/invoke HTTP/1.1";
pub const STREAM: &str = "POST /bedrock/model/claude/invoke-with-response-stream HTTP/1.1";

/// Declares each test twice: under io_uring, unless the kernel refuses it, and under epoll.
macro_rules! under_both_drivers {
    ($($test:ident),+ $(,)?) => {
        mod io_uring {
            $(#[test]
            fn $test() {
                if $crate::proxy::kernel_grants_io_uring(concat!(module_path!(), "::", stringify!($test))) {
                    super::$test(outcrop::control_plane::config::DriverChoice::IoUring);
                }
            })+
        }
        mod epoll {
            $(#[test]
            fn $test() {
                super::$test(outcrop::control_plane::config::DriverChoice::Epoll);
            })+
        }
    };
}
pub(crate) use under_both_drivers;

/// Whether a test under io_uring can run; if not, it is said loudly.
pub fn kernel_grants_io_uring(test: &str) -> bool {
    probe_io_uring(1)
        .inspect_err(|error| crate::skip(test, &format!("the kernel refuses io_uring: {error}")))
        .is_ok()
}

/// Lines of a configuration whose proxy asks each deployment once: for what an attempt of its own does.
pub const ONE_ATTEMPT: &str = "router_settings:\n  num_retries: 0\n";

/// One entry of `model_list`.
pub struct Deployment {
    name: String,
    model: String,
    at: SocketAddr,
    endpoint: String,
    /// Further lines of `litellm_params`.
    params: String,
    /// Lines of `model_info`.
    info: String,
}

impl Deployment {
    /// Of the group `claude`, at `https://localhost:port`, with the stand-in's default credential.
    pub fn to(address: SocketAddr) -> Self {
        let endpoint = format!("https://localhost:{}", address.port());
        let (name, model) = ("claude".to_owned(), format!("bedrock/{MODEL}"));
        Self { name, model, at: address, endpoint, params: String::new(), info: String::new() }
            .param("aws_region_name", "us-east-1")
            .param("aws_access_key_id", "AKIAOUTCROPSTANDIN00")
            .param("aws_secret_access_key", "outcrop-stand-in-secret")
    }

    /// At a plain-text upstream.
    pub fn plain(address: SocketAddr) -> Self {
        Self { endpoint: format!("http://127.0.0.1:{}", address.port()), ..Self::to(address) }
    }

    /// Where its upstream listens.
    pub fn address(&self) -> SocketAddr {
        self.at
    }

    /// With another name.
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// Of another model.
    pub fn of(self, model: &str) -> Self {
        Self { model: model.to_owned(), ..self }
    }

    /// With `model_info.id`.
    pub fn with_id(self, id: &str) -> Self {
        self.info("id", id)
    }

    /// With `model_info.key: value`, which is not there yet.
    pub fn info(mut self, key: &str, value: &str) -> Self {
        writeln!(self.info, "      {key}: \"{value}\"").expect("a String takes all");
        self
    }

    /// With a base path.
    pub fn below(mut self, base_path: &str) -> Self {
        self.endpoint.push_str(base_path);
        self
    }

    /// With `litellm_params.key: value`, in the place of an earlier one.
    pub fn param(mut self, key: &str, value: &str) -> Self {
        self = self.without(key);
        writeln!(self.params, "      {key}: \"{value}\"").expect("a String takes all");
        self
    }

    /// Without `litellm_params.key`.
    pub fn without(mut self, key: &str) -> Self {
        let start = format!("      {key}:");
        let kept = self.params.lines().filter(|line| !line.starts_with(&start));
        self.params = kept.map(|line| format!("{line}\n")).collect();
        self
    }

    fn yaml(&self) -> String {
        let Self { name, model, endpoint, params, info, .. } = self;
        let head = if info.is_empty() { "" } else { "    model_info:\n" };
        format!(
            "  - model_name: \"{name}\"\n    litellm_params:\n      model: \"{model}\"\n      \
             aws_bedrock_runtime_endpoint: \"{endpoint}\"\n{params}{head}{info}"
        )
    }
}

/// A config.yaml in a file: these deployments, [`KEY`], the driver, and further lines of
/// `general_settings`, behind which sections of their own may follow, `outcrop:` as the last.
pub fn config_file(driver: DriverChoice, deployments: &[Deployment], general: &str) -> PathBuf {
    static FILES: AtomicU32 = AtomicU32::new(0);
    let path = scratch(&format!("flow-{}.yaml", FILES.fetch_add(1, Ordering::Relaxed)));
    let driver = if driver == DriverChoice::Epoll { "epoll" } else { "io_uring" };
    let mut text = "model_list:\n".to_owned();
    deployments.iter().for_each(|it| text.push_str(&it.yaml()));
    let (general, outcrop) = general.split_once("outcrop:\n").unwrap_or((general, ""));
    let data_dir = path.with_extension("data");
    std::fs::create_dir_all(&data_dir).expect("a writable target/tmp");
    write!(
        text,
        "general_settings:\n  master_key: {KEY}\n{general}outcrop:\n  driver: {driver}\n  data_dir: \"{}\"\n{outcrop}",
        data_dir.display()
    )
    .expect("a String takes all");
    std::fs::write(&path, text).expect("a writable target/tmp");
    // It holds secrets, which is warned of if all may read them.
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("ours");
    path
}

/// The CA's certificate in a file, for `SSL_CERT_FILE`.
pub fn ca_file(stand_in: &StandIn) -> Option<PathBuf> {
    let path = scratch(&format!("flow-ca-{}.pem", stand_in.address().port()));
    stand_in.authority().map(|authority| {
        authority.write_pem(&path).expect("a writable target/tmp");
        path
    })
}

/// A running proxy; dropping it ends it.
pub struct Proxy {
    running: Option<Running>,
    data_dir: PathBuf,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.running.take());
        // It may still be writing to it, which is nobody's loss.
        let _ = std::fs::remove_dir_all(&self.data_dir);
    }
}

impl Proxy {
    /// With one core, as `config_file` says, trusting `ca`.
    pub fn start(
        driver: DriverChoice,
        ca: Option<&PathBuf>,
        deployments: &[Deployment],
        general: &str,
    ) -> Self {
        Self::of_file(&config_file(driver, deployments, general), ca)
    }

    /// As [`config_file`] made it; the file is removed.
    pub fn of_file(config: &Path, ca: Option<&PathBuf>) -> Self {
        let ca = ca.map(|path| ("SSL_CERT_FILE", path.to_str().expect("a UTF-8 path")));
        let loaded = config::load(config, &Environment::from_pairs(ca));
        let loaded = loaded.expect("a configuration without errors");
        assert!(loaded.warnings.is_empty(), "{:#?}", loaded.warnings);
        std::fs::remove_file(config).expect("a file of ours");
        let bind = Bind { address: ([127, 0, 0, 1], 0).into(), reason: None };
        let running = supervisor::start(&loaded.settings, &bind, 1);
        let data_dir = loaded.settings.accounting.data_dir;
        Self { running: Some(running.expect("it starts")), data_dir }
    }

    /// In front of plain-text upstreams of the test's own.
    pub fn plain(driver: DriverChoice, upstream: SocketAddr) -> Self {
        Self::start(driver, None, &[Deployment::plain(upstream)], "")
    }

    /// As [`Self::plain`], and each request is sent once.
    pub fn of_one_attempt(driver: DriverChoice, upstream: SocketAddr) -> Self {
        Self::start(driver, None, &[Deployment::plain(upstream)], ONE_ATTEMPT)
    }

    /// A client's connection.
    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// Rows of `spend_logs`, the oldest first, of all requests that have ended. As many as these, at least,
    /// or the test fails.
    pub fn rows(&self, at_least: usize) -> Vec<serde_json::Value> {
        let mut rows = Vec::new();
        crate::running::within(|| {
            let ask = format!("GET /spend/logs?limit=10000 HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n");
            let answer = self.connect().ask(ask.into_bytes());
            assert_eq!(answer.head.status, 200, "{}", answer.content.escape_ascii());
            rows = serde_json::from_slice(&answer.content).expect("a list of rows");
            rows.len() >= at_least
        });
        assert!(rows.len() >= at_least, "{} rows of {at_least}: {rows:#?}", rows.len());
        rows.reverse();
        rows
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().expect("it runs").address()
    }

    /// Ends it in order, and waits for that.
    pub fn end(mut self) {
        self.running.take().expect("it runs").end().expect("an end in order");
    }
}

/// A proxy in front of one stand-in. Whatever a test does, no request may reach the stand-in with a
/// field that a strict peer objects to: that is checked when it ends.
pub struct Pair {
    pub proxy: Proxy,
    pub stand_in: StandIn,
}

impl Pair {
    /// Over TLS, with one deployment, the group `claude`.
    pub fn start(driver: DriverChoice) -> Self {
        Self::with(driver, Options::default(), |it| vec![it], "")
    }

    /// As [`Self::start`], and each request is sent once.
    pub fn of_one_attempt(driver: DriverChoice) -> Self {
        Self::with(driver, Options::default(), |it| vec![it], ONE_ATTEMPT)
    }

    /// With a stand-in of these options, deployments made from its usual one, and further
    /// `general_settings`.
    pub fn with(
        driver: DriverChoice,
        options: Options,
        deployments: impl FnOnce(Deployment) -> Vec<Deployment>,
        general: &str,
    ) -> Self {
        let tls = options.tls;
        let stand_in = StandIn::start(options).expect("a stand-in");
        let at = stand_in.address();
        let one = if tls { Deployment::to(at) } else { Deployment::plain(at) };
        let ca = ca_file(&stand_in);
        let proxy = Proxy::start(driver, ca.as_ref(), &deployments(one), general);
        Self { proxy, stand_in }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.stand_in.record().anomalies(), [""; 0], "AWS would object");
        }
    }
}

/// An upstream that the test plays by hand, in plain text.
pub struct ByHand(TcpListener);

/// A connection to it.
pub struct Hand {
    pub stream: TcpStream,
    unread: Vec<u8>,
}

impl ByHand {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        // On Linux the receive time-out bounds accept, too.
        SockRef::from(&listener).set_read_timeout(Some(WAIT_MAX)).expect("a time-out");
        Self(listener)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("its address")
    }

    /// The next connection.
    pub fn accept(&self) -> Hand {
        let (stream, _) = self.0.accept().expect("the proxy connects");
        stream.set_nodelay(true).expect("no delay");
        stream.set_read_timeout(Some(WAIT_MAX)).expect("a time-out");
        stream.set_write_timeout(Some(WAIT_MAX)).expect("a time-out");
        Hand { stream, unread: Vec::new() }
    }
}

impl Hand {
    /// One request with Content-Length: its head, its content.
    pub fn request(&mut self) -> (String, Vec<u8>) {
        loop {
            if let Some(at) = memchr::memmem::find(&self.unread, b"\r\n\r\n") {
                let head = String::from_utf8(self.unread[..at].to_vec()).expect("a head in UTF-8");
                let length = head.to_ascii_lowercase();
                let length = length.split("\r\ncontent-length: ").nth(1).expect("a length");
                let length = length.split("\r\n").next().and_then(|length| length.parse().ok());
                let end = at + 4 + length.unwrap_or(0);
                if self.unread.len() >= end {
                    let content = self.unread[at + 4..end].to_vec();
                    self.unread.drain(..end);
                    return (head, content);
                }
            }
            let mut bytes = [0; 64 * 1024];
            let count = self.stream.read(&mut bytes).expect("a request");
            assert!(count > 0, "the proxy closed before its request was whole");
            self.unread.extend_from_slice(&bytes[..count]);
        }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the proxy reads");
    }

    /// Sends a 200 with this content.
    pub fn answer(&mut self, content: &[u8]) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len());
        self.send([head.as_bytes(), content].concat());
    }

    /// The proxy closes, and sends nothing more.
    pub fn check_closed(mut self) {
        let mut rest = std::mem::take(&mut self.unread);
        if let Err(error) = self.stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the proxy does not close");
        }
        assert!(rest.is_empty(), "after its request: {}", rest.escape_ascii());
    }
}
