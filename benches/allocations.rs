//! What a core allocates per request once it is warm: nothing of ours, account and all.
//!
//! Runs the proxy with one core in this process, in front of the stand-in, and counts the allocator's calls
//! of the core's thread alone. Over plain HTTP upstream there must be none, and the bench fails if there are;
//! over TLS rustls 0.23 makes a vector per record, which is shown. `cargo bench --bench allocations`.
#![expect(
    unsafe_code,
    reason = "a global allocator that counts, and the kernel's number of a thread"
)]
#![expect(clippy::print_stdout, reason = "a bench shows what it measured")]

use std::{
    alloc::{GlobalAlloc, Layout},
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
};

use outcrop::{
    control_plane::{
        bind::Bind,
        config::{self, Environment},
        supervisor,
    },
    mock_bedrock::{Options, StandIn},
};

/// The thread whose calls are counted; 0: none.
static WATCHED: AtomicI64 = AtomicI64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);

struct Counting;

impl Counting {
    fn count() {
        let watched = WATCHED.load(Relaxed);
        // SAFETY: takes nothing and returns a number.
        if watched != 0 && i64::from(unsafe { libc::gettid() }) == watched {
            CALLS.fetch_add(1, Relaxed);
        }
    }
}

// SAFETY: every call goes to mimalloc as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the caller's promise is passed on.
        unsafe { mimalloc::MiMalloc.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { mimalloc::MiMalloc.dealloc(memory, layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count();
        // SAFETY: as above.
        unsafe { mimalloc::MiMalloc.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KEY: &str = "sk-allocations-3b1f60c2";
const WARM_UP: usize = 300;
const REQUESTS: u32 = 1000;

fn main() {
    for tls in [false, true] {
        for (action, mock) in [
            ("invoke", "frames=8"),
            ("converse", "frames=8; framing=chunked"),
            ("invoke-with-response-stream", "frames=8"),
            ("converse-stream", "frames=8; frames_per_write=1"),
            ("invoke", "throttle"),
        ] {
            let calls = measure(tls, action, mock);
            let per_request =
                f64::from(u32::try_from(calls).unwrap_or(u32::MAX)) / f64::from(REQUESTS);
            let way = if tls { "TLS" } else { "plain" };
            println!("{way:<5} {action:<28} {mock:<28} {per_request:>7.3} allocations per request");
            // What comes now and then (a tick, a vector that grows once) is not per request.
            assert!(
                tls || per_request < 0.05,
                "a core allocates: {calls} times in {REQUESTS} requests"
            );
        }
    }
}

/// The core's allocator calls during [`REQUESTS`], after a warm-up.
fn measure(tls: bool, action: &str, mock: &str) -> u64 {
    let stand_in = StandIn::start(Options { tls, ..Options::default() }).expect("a stand-in");
    let folder = std::env::temp_dir().join(format!("outcrop-allocations-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let settings = settings(&stand_in, tls, &folder);
    let bind = Bind { address: ([127, 0, 0, 1], 0).into(), reason: None };
    let proxy = supervisor::start(&settings, &bind, 1).expect("it starts");
    let mut client = Client::connect(proxy.address(), action, mock);
    (0..WARM_UP).for_each(|_| client.ask());
    let core = core_thread();
    CALLS.store(0, Relaxed);
    WATCHED.store(core, Relaxed);
    (0..REQUESTS).for_each(|_| client.ask());
    WATCHED.store(0, Relaxed);
    drop(client);
    proxy.end().expect("it ends in order");
    std::fs::remove_dir_all(&folder).expect("a folder of ours");
    CALLS.load(Relaxed)
}

fn settings(stand_in: &StandIn, tls: bool, folder: &Path) -> config::Settings {
    let port = stand_in.address().port();
    let base =
        if tls { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}") };
    let text = format!(
        "model_list:\n  - model_name: claude\n    litellm_params:\n      \
         model: bedrock/anthropic.claude-3-5-haiku-20241022-v1:0\n      aws_region_name: us-east-1\n      \
         aws_access_key_id: AKIAOUTCROPSTANDIN00\n      aws_secret_access_key: outcrop-stand-in-secret\n      \
         api_base: {base}\ngeneral_settings:\n  master_key: {KEY}\noutcrop:\n  access_log: \"off\"\n"
    );
    let file = folder.join("config.yaml");
    std::fs::write(&file, text).expect("a file");
    let authority = folder.join("ca.pem");
    let trusted = stand_in.authority().map(|it| {
        it.write_pem(&authority).expect("a file");
        ("SSL_CERT_FILE", authority.to_str().expect("a UTF-8 path"))
    });
    let loaded = config::load(&file, &Environment::from_pairs(trusted));
    loaded.unwrap_or_else(|problems| unreachable!("{problems:?}")).settings
}

/// The newest thread of that name: those of before have ended.
fn core_thread() -> i64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let named = tasks.filter_map(|task| {
        let task = task.ok()?;
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let number = task.file_name().to_str()?.parse().ok()?;
        (name.trim() == "outcrop-core-0").then_some((number, ()))
    });
    let all: BTreeMap<i64, ()> = named.collect();
    *all.last_key_value().expect("a core runs").0
}

/// One keep-alive connection.
struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    received: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr, action: &str, mock: &str) -> Self {
        let content = r#"{"messages":[{"role":"user","content":[{"text":"hello"}]}]}"#;
        let request = format!(
            "POST /bedrock/model/claude/{action} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\
             Content-Type: application/json\r\nX-Amzn-Bedrock-Mock: {mock}\r\nContent-Length: {}\r\n\r\n{content}",
            content.len()
        );
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, request: request.into_bytes(), received: Vec::new() }
    }

    /// Sends the request and reads its answer to the end, by length or chunks.
    fn ask(&mut self) {
        self.stream.write_all(&self.request).expect("it reads");
        self.received.clear();
        while !self.is_whole() {
            let mut bytes = [0; 64 * 1024];
            let count = self.stream.read(&mut bytes).expect("it answers");
            assert!(count > 0, "cut: {}", self.received.escape_ascii());
            self.received.extend_from_slice(&bytes[..count]);
        }
    }

    fn is_whole(&self) -> bool {
        let Some(end) = memchr::memmem::find(&self.received, b"\r\n\r\n") else { return false };
        let head = self.received[..end].to_ascii_lowercase();
        if memchr::memmem::find(&head, b"transfer-encoding: chunked").is_some() {
            return self.received.ends_with(b"\r\n0\r\n\r\n");
        }
        let at = memchr::memmem::find(&head, b"content-length: ").expect("a length") + 16;
        let digits = head[at..].iter().take_while(|byte| byte.is_ascii_digit());
        let length = digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
        self.received.len() == end + 4 + length
    }
}
