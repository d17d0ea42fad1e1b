//! What a stand-in has seen: counters, and a bounded log of requests, for tests and the demo.
//!
//! Shared by the stand-in's threads and its owner. Counters are exact at any time; a log entry is
//! there from the moment a request's content has been read, and changes when its answer ends.

#![expect(
    clippy::disallowed_types,
    reason = "the stand-in is no data plane; its log is behind a std Mutex, held for a push"
)]

use super::target::Operation;
use super::verify::Verdict;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How an answer ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answered {
    /// Not yet.
    Pending,
    /// All of it was given to the connection.
    Finished,
    /// A directive asked the stand-in to end or lie before the end.
    Cut,
    /// The client closed before the end.
    ClientGone,
}

/// One request as it arrived, and what became of it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Ordinal of the request in this stand-in, from 0.
    pub ordinal: u64,
    /// Ordinal of its connection, from 0.
    pub connection: u64,
    /// The method.
    pub method: String,
    /// `None`: no such operation.
    pub operation: Option<Operation>,
    /// Decoded once; empty without an operation.
    pub model_id: String,
    /// The path as on the wire.
    pub raw_path: String,
    /// The query as on the wire.
    pub raw_query: Option<String>,
    /// Names in lower case (hyper's), values as on the wire (UTF-8, lossy).
    pub fields: Vec<(String, String)>,
    /// Of the content received, in hexadecimal.
    pub content_sha256: String,
    /// Bytes of content received.
    pub content_length: u64,
    /// How it was authenticated.
    pub verdict: Verdict,
    /// What a strict peer must object to, such as a hop-by-hop field; empty when all is well.
    pub anomalies: Vec<String>,
    /// The answer's status; 0 while there is none.
    pub status: u16,
    /// Frames of a stream given to the connection.
    pub frames_sent: u64,
    /// How the answer ended.
    pub answered: Answered,
}

impl Seen {
    /// The first value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Counters and log of one stand-in.
#[derive(Default)]
pub struct Record {
    connections: AtomicU64,
    connections_open: AtomicU64,
    tls_resumed: AtomicU64,
    requests: AtomicU64,
    finished: AtomicU64,
    clients_gone: AtomicU64,
    contents_broken: AtomicU64,
    heads_refused: AtomicU64,
    frames_sent: AtomicU64,
    bytes_sent: AtomicU64,
    log: Mutex<VecDeque<Seen>>,
    log_max: usize,
}

impl Record {
    pub(super) fn new(log_max: usize) -> Self {
        Self { log_max, ..Self::default() }
    }

    /// Connections accepted.
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// Connections open now.
    pub fn connections_open(&self) -> u64 {
        self.connections_open.load(Relaxed)
    }

    /// TLS handshakes that resumed a session.
    pub fn tls_resumed(&self) -> u64 {
        self.tls_resumed.load(Relaxed)
    }

    /// Requests whose head and content arrived.
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Answers given whole to the connection.
    pub fn finished(&self) -> u64 {
        self.finished.load(Relaxed)
    }

    /// Answers whose client went away before their end.
    pub fn clients_gone(&self) -> u64 {
        self.clients_gone.load(Relaxed)
    }

    /// Requests whose content broke off or was framed wrongly; they are in no other count.
    pub fn contents_broken(&self) -> u64 {
        self.contents_broken.load(Relaxed)
    }

    /// Request heads that hyper could not parse, and answered with 400; they are in no other count.
    pub fn heads_refused(&self) -> u64 {
        self.heads_refused.load(Relaxed)
    }

    /// Event-stream frames given to connections.
    pub fn frames_sent(&self) -> u64 {
        self.frames_sent.load(Relaxed)
    }

    /// Bytes of answers written, heads and chunk framing included, TLS excluded.
    pub fn bytes_sent(&self) -> u64 {
        self.bytes_sent.load(Relaxed)
    }

    /// The log, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.with_log(|log| log.iter().cloned().collect())
    }

    /// The latest request.
    pub fn last(&self) -> Option<Seen> {
        self.with_log(|log| log.back().cloned())
    }

    /// Every anomaly in the log.
    pub fn anomalies(&self) -> Vec<String> {
        self.with_log(|log| log.iter().flat_map(|seen| seen.anomalies.clone()).collect())
    }

    /// Forgets the log; counters stay.
    pub fn clear(&self) {
        self.with_log(VecDeque::clear);
    }

    /// Waits until `condition` holds, at most about `timeout`; says whether it does. For tests: the
    /// outcome does not depend on timing, only how long a failure takes.
    pub fn wait(&self, timeout: Duration, condition: impl Fn(&Self) -> bool) -> bool {
        const POLL: Duration = Duration::from_millis(1);
        for _ in 0..timeout.as_millis().max(1) {
            if condition(self) {
                return true;
            }
            std::thread::park_timeout(POLL);
        }
        condition(self)
    }

    pub(super) fn connection_opened(&self) -> u64 {
        self.connections_open.fetch_add(1, Relaxed);
        self.connections.fetch_add(1, Relaxed)
    }

    pub(super) fn connection_closed(&self) {
        self.connections_open.fetch_sub(1, Relaxed);
    }

    pub(super) fn session_resumed(&self) {
        self.tls_resumed.fetch_add(1, Relaxed);
    }

    pub(super) fn content_broken(&self) {
        self.contents_broken.fetch_add(1, Relaxed);
    }

    pub(super) fn head_refused(&self) {
        self.heads_refused.fetch_add(1, Relaxed);
    }

    pub(super) fn add_bytes(&self, bytes: usize) {
        self.bytes_sent.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn add_frames(&self, frames: u64) {
        self.frames_sent.fetch_add(frames, Relaxed);
    }

    /// Whether requests are worth describing.
    pub(super) fn keeps_log(&self) -> bool {
        self.log_max > 0
    }

    /// A request has been read; its ordinal.
    pub(super) fn begun(&self) -> u64 {
        self.requests.fetch_add(1, Relaxed)
    }

    pub(super) fn push(&self, seen: Seen) {
        self.with_log(|log| {
            if log.len() == self.log_max {
                log.pop_front();
            }
            log.push_back(seen);
        });
    }

    /// An answer has ended; the entry as it is now, if it is still in the log.
    pub(super) fn ended(
        &self,
        ordinal: u64,
        status: u16,
        frames_sent: u64,
        answered: Answered,
    ) -> Option<Seen> {
        match answered {
            Answered::Finished => self.finished.fetch_add(1, Relaxed),
            Answered::ClientGone => self.clients_gone.fetch_add(1, Relaxed),
            Answered::Pending | Answered::Cut => 0,
        };
        if !self.keeps_log() {
            return None;
        }
        self.with_log(|log| {
            let seen = log.iter_mut().rev().find(|seen| seen.ordinal == ordinal)?;
            (seen.status, seen.frames_sent, seen.answered) = (status, frames_sent, answered);
            Some(seen.clone())
        })
    }

    fn with_log<T>(&self, act: impl FnOnce(&mut VecDeque<Seen>) -> T) -> T {
        // A poisoned log is still a log: the panic that poisoned it is reported by its own test.
        act(&mut self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
