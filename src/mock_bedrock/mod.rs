//! A Bedrock stand-in: TLS on loopback, signatures verified by AWS's own crate, streams framed by
//! AWS's own encoder, and faults on request.
//!
//! ```text
//!   StandIn ── threads ── serve ─ accept, TLS, hyper ─ service ─┬─ target, verify, peer   what was asked, by whom
//!                           │                                   ├─ directive              how to mistreat it
//!                        socket ─ orders: bytes hyper           ├─ answer ─ family, frames  what a model says
//!                                 would not write               ├─ content, raw_answer    how it goes out
//!                                                               └─ record                 what the owner can see
//!   RawUpstream ─ scripted bytes, no HTTP server at all
//! ```
//!
//! It shares no protocol code with the proxy (neither `wire` nor `bedrock`): a mistake there must
//! not be judged by itself. One `Options::threads` thread each runs a single-threaded runtime;
//! answers are encoded once per shape and thread.

mod amz_date;
mod answer;
mod arguments;
mod aws_error;
mod beyond;
mod certificate;
mod clock;
mod content;
mod directive;
mod family;
mod frames;
mod peer;
mod raw_answer;
mod raw_upstream;
mod record;
mod serve;
mod service;
mod socket;
mod target;
mod verify;

pub use answer::DELTAS_DEFAULT;
pub use arguments::{Arguments, run};
pub use certificate::Authority;
pub use content::OnRequest;
pub use directive::{DirectiveError, Directives, Framing, Moment, Place};
pub use family::Family;
pub use raw_upstream::{RawStep, RawUpstream};
pub use record::{Answered, Record, Seen};
pub use socket::Ending;
pub use target::Operation;
pub use verify::{Presented, Verdict, Verifier};

use arc_swap::ArcSwap;
use service::{Desk, Shared};
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;
use tokio::runtime;
use tokio::sync::{Semaphore, watch};
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// Requests kept in the log unless asked otherwise.
const LOG_MAX_DEFAULT: usize = 4096;

/// What a stand-in is like. `Options::default()` listens on a free port of 127.0.0.1 with TLS.
#[derive(Clone)]
pub struct Options {
    /// Port 0: any free one.
    pub listen: SocketAddr,
    /// `false`: plain HTTP, as a VPC endpoint in tests.
    pub tls: bool,
    /// The region whose requests are accepted.
    pub region: String,
    /// The only access key id known.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// When set, must be present, equal and signed.
    pub session_token: Option<String>,
    /// Accepted as bearer tokens.
    pub api_keys: Vec<String>,
    /// Issues the leaf certificate; made at start if absent.
    pub certificate: Option<Arc<Authority>>,
    /// Names in the leaf certificate besides localhost, 127.0.0.1, `::1` and the region's host.
    pub names: Vec<String>,
    /// `false`: everyone is let in.
    pub verify_signatures: bool,
    /// In front of `/model/`, such as `/vpc`; empty by default.
    pub base_path: String,
    /// For requests that ask for nothing else.
    pub answers: Directives,
    /// Threads with a listener each (SO_REUSEPORT); at least 1.
    pub threads: usize,
    /// Requests kept in the log; 0 for load tests.
    pub log_max: usize,
    /// Called in the serving thread when an answer has ended.
    pub on_request: Option<OnRequest>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            tls: true,
            region: "us-east-1".to_owned(),
            access_key_id: "AKIAOUTCROPSTANDIN00".to_owned(),
            secret_access_key: "outcrop-stand-in-secret".to_owned(),
            session_token: None,
            api_keys: Vec::new(),
            certificate: None,
            names: Vec::new(),
            verify_signatures: true,
            base_path: String::new(),
            answers: Directives::default(),
            threads: 1,
            log_max: LOG_MAX_DEFAULT,
            on_request: None,
        }
    }
}

/// A running stand-in; dropping it ends it.
pub struct StandIn {
    address: SocketAddr,
    authority: Option<Arc<Authority>>,
    shared: Arc<Shared>,
    answers: Directives,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl StandIn {
    /// Starts its threads; returns when it listens. Errors: the address is taken, no thread or
    /// certificate could be made.
    pub fn start(options: Options) -> io::Result<Self> {
        let authority = match options.certificate.clone() {
            None if options.tls => Some(Arc::new(Authority::generate()?)),
            given => given,
        };
        let mut names = Authority::names_of_region(&options.region);
        names.extend(options.names.iter().cloned());
        let tls = authority
            .as_ref()
            .filter(|_| options.tls)
            .map(|authority| authority.server_config(names));
        let tls = tls.transpose()?.map(TlsAcceptor::from);
        let shared = Arc::new(shared(&options));
        let listener = listen(options.listen)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let mut stand_in = Self {
            address,
            authority,
            shared,
            answers: options.answers,
            stop,
            threads: Vec::new(),
        };
        let mut listeners = vec![listener];
        for _ in 1..options.threads.max(1) {
            listeners.push(listen(address)?);
        }
        for listener in listeners {
            let (shared, tls, stopped) =
                (Arc::clone(&stand_in.shared), tls.clone(), stopped.clone());
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            let body = move || work(&runtime, listener, tls, shared, stopped);
            stand_in
                .threads
                .push(std::thread::Builder::new().name("stand-in".to_owned()).spawn(body)?);
        }
        Ok(stand_in)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CA that clients must trust; `None` with plain HTTP and no CA given.
    pub fn authority(&self) -> Option<&Arc<Authority>> {
        self.authority.as_ref()
    }

    /// What it has seen.
    pub fn record(&self) -> &Record {
        &self.shared.record
    }

    /// From now on, requests are treated as these directives say, on top of [`Options::answers`]
    /// (not of earlier calls); an empty text makes it well again.
    pub fn set_fault(&self, directives: &str) -> Result<(), DirectiveError> {
        let mut amended = self.answers.clone();
        amended.amend(directives)?;
        self.shared.directives.store(Arc::new(amended));
        Ok(())
    }

    /// From now on its clock is so far ahead of this machine's, or behind.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.shared.ahead_s.store(seconds, Ordering::Relaxed);
    }

    /// Lets `frames` more frames (writes, with `frames_per_write`) of gated streams go.
    pub fn release_frames(&self, frames: usize) {
        self.shared.gate.add_permits(frames);
    }

    /// Ends it: connections close, the port is free when this returns.
    pub fn stop(self) {}
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // Threads that have ended already need no telling, and a panic of theirs is on stderr.
        let _ = self.stop.send(true);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn shared(options: &Options) -> Shared {
    let verifier = Verifier {
        region: options.region.clone(),
        access_key_id: options.access_key_id.clone(),
        secret_access_key: options.secret_access_key.clone(),
        session_token: options.session_token.clone(),
        api_keys: options.api_keys.clone(),
    };
    let log_max =
        if options.on_request.is_some() { options.log_max.max(1) } else { options.log_max };
    Shared {
        verifier: options.verify_signatures.then_some(verifier),
        base_path: options.base_path.clone(),
        record: Arc::new(Record::new(log_max)),
        directives: ArcSwap::from_pointee(options.answers.clone()),
        gate: Arc::new(Semaphore::new(0)),
        on_request: options.on_request.clone(),
        ahead_s: AtomicI64::new(0),
    }
}

/// A listener that others may share (SO_REUSEPORT) and that a restart may take over at once.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn work(
    runtime: &runtime::Runtime,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let seed = fastrand::u64(..) | 1;
    let desk =
        Rc::new(Desk { shared, answers: answer::Answers::default(), random: Cell::new(seed) });
    let tasks = LocalSet::new();
    tasks.block_on(runtime, async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("the runtime drives I/O");
        tokio::select! {
            () = serve::accept(listener, tls, desk) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    });
}

#[cfg(test)]
mod tests;
