//! What a core tells the operator: facts, put into words on the other side.
//!
//! Bounded and never waited for: when the control plane does not keep up, notices are counted as lost.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use crate::limits::NOTICES_MAX;

/// Something an operator should know.
#[derive(Debug)]
pub struct Notice {
    /// `model_info.id` of the deployment concerned.
    pub deployment: Option<String>,
    /// What happened to it.
    pub event: Event,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The endpoint's name has no address yet.
    Unresolved,
    /// No connection, by the network's word.
    ConnectFailed(std::io::Error),
    /// No connection in time.
    ConnectTimedOut,
    /// TLS was refused, by rustls's word.
    TlsFailed(String),
    /// The answer broke off before its head was whole, or was not HTTP.
    BadAnswer(&'static str),
    /// The answer did not come in time.
    AnswerTimedOut,
    /// The answer refused our credential, and quoted it.
    CredentialRefused,
    /// It has no credential at present, so that nothing can be sent to it.
    NoCredential,
    /// A credential's source does not answer; which, and why.
    Credential(String),
    /// The answer broke off after its head; the client's was cut, too.
    AnswerCut(&'static str),
    /// Accepting failed.
    AcceptFailed(std::io::Error),
    /// A signature was refused for its time: AWS's clock is so far ahead of ours, or behind.
    ClockSkewed {
        /// Negative: it is behind.
        ahead_s: i64,
    },
    /// An exchange panicked; its connection was closed, the core lives.
    Panicked,
    /// Something about the accounts: ledger, store, log.
    Accounts(String),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = &self.deployment {
            write!(f, "deployment {id}: ")?;
        }
        match &self.event {
            Event::Unresolved => {
                f.write_str("its endpoint's name does not resolve; check the host and DNS")
            }
            Event::ConnectFailed(error) => write!(f, "cannot connect to its endpoint: {error}"),
            Event::ConnectTimedOut => {
                f.write_str("its endpoint did not accept a connection in time")
            }
            Event::TlsFailed(error) => {
                write!(f, "its endpoint is not trusted: {error}; SSL_CERT_FILE adds trusted roots")
            }
            Event::BadAnswer(what) => write!(f, "its endpoint's answer was refused: {what}"),
            Event::CredentialRefused => f.write_str(
                "its endpoint refused our credential, in words that quote it and so were withheld; \
                 check the secret access key and the session token",
            ),
            Event::AnswerTimedOut => f.write_str("its endpoint did not answer in time"),
            Event::AnswerCut(what) => {
                write!(f, "an answer broke off, and so did the client's: {what}")
            }
            Event::AcceptFailed(error) => {
                write!(f, "cannot accept connections: {error}; trying again")
            }
            Event::NoCredential => {
                f.write_str("it has no credential at present: its source gives none")
            }
            Event::Accounts(words) | Event::Credential(words) => f.write_str(words),
            Event::ClockSkewed { ahead_s } => {
                let (by, way) =
                    (ahead_s.unsigned_abs(), if *ahead_s < 0 { "behind" } else { "ahead of" });
                write!(
                    f,
                    "its endpoint's clock is {by} s {way} this machine's, and it refuses signatures for \
                     that; signing by its clock from here on. Set this machine's clock (NTP)"
                )
            }
            Event::Panicked => {
                f.write_str("an exchange panicked and its connection was closed; please report it")
            }
        }
    }
}

/// A core's end.
#[derive(Clone)]
pub struct Notices {
    sender: SyncSender<Notice>,
    lost: Arc<AtomicU64>,
}

/// The control plane's end.
pub struct NoticeReader {
    receiver: Receiver<Notice>,
    lost: Arc<AtomicU64>,
}

/// Both ends.
#[must_use]
pub fn channel() -> (Notices, NoticeReader) {
    let (sender, receiver) = sync_channel(NOTICES_MAX);
    let lost = Arc::new(AtomicU64::new(0));
    (Notices { sender, lost: lost.clone() }, NoticeReader { receiver, lost })
}

impl Notices {
    /// Tells, or counts as lost; never waits.
    pub fn tell(&self, deployment: Option<&str>, event: Event) {
        let notice = Notice { deployment: deployment.map(str::to_owned), event };
        if self.sender.try_send(notice).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl NoticeReader {
    /// The next notice, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<Notice> {
        self.receiver.try_recv().ok()
    }

    /// How many were lost since this was last asked.
    #[must_use]
    pub fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}
