//! SIGUSR2: the program is started once more, from its file as it is now, with our arguments and our sockets;
//! when it serves, we end; if it does not, we go on as if nothing had been asked.
//!
//! ```text
//!   we ── sockets, one end of a pair ──▶ successor    reads its configuration, opens its books, starts cores
//!      ◀─────────── a byte ───────────                it accepts; so do we, from the same queues
//!   drain: no connection is closed that could carry a request; nothing that waits is taken
//! ```
//!
//! Each has ledger files of its own, which it locks: whoever finds one without an owner records it. So an
//! entry is in one place, whichever process ends when.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    os::{fd::AsRawFd as _, unix::net::UnixStream},
    process::{Child, Command},
    time::{Duration, Instant},
};

use socket2::SockRef;
use tokio::{
    io::AsyncReadExt as _,
    time::{sleep, timeout_at},
};

use crate::{
    limits::HAND_OVER_MS_MAX,
    net::{
        clock,
        inherited::{self, HAND_OVER},
        tcp::Bound,
    },
};

/// How long one that has given up may take to exit, and how often we look.
const EXIT_MAX: Duration = Duration::from_secs(2);
const EXIT_LOOK: Duration = Duration::from_millis(10);

/// How this process was started.
#[derive(Clone, Debug)]
pub struct Program {
    /// A path, or a name that is looked for in `PATH`: what stands there when a successor is started.
    pub name: OsString,
    /// Without the name.
    pub arguments: Vec<OsString>,
}

/// One that has been started, and has not yet told.
pub struct Successor {
    child: Child,
    ready: tokio::net::UnixStream,
    until: Instant,
    must_end_by: Option<Instant>,
}

/// Why it does not take over; we serve on.
pub enum Failed {
    /// It has ended, by itself.
    Ended(String),
    /// It did not tell in time, and was ended.
    TooSlow,
}

impl Successor {
    /// Starts it with these sockets. On the supervisor's runtime.
    ///
    /// # Errors
    /// The program cannot be started, or no descriptor is left.
    pub fn start(program: &Program, sockets: &[Bound]) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let ready = tokio::net::UnixStream::from_std(ours)?;
        SockRef::from(&theirs).set_cloexec(false)?;
        let numbers: io::Result<Vec<_>> = sockets.iter().map(|it| it.pass_on(true)).collect();
        let started = numbers.and_then(|numbers| {
            Command::new(&program.name)
                .args(&program.arguments)
                .env(HAND_OVER, inherited::words(&numbers, theirs.as_raw_fd()))
                .env_remove("LISTEN_FDS")
                .env_remove("LISTEN_PID")
                .env_remove("WATCHDOG_PID") // of us; it is the successor's to keep alive
                .spawn()
        });
        for socket in sockets {
            socket.pass_on(false)?;
        }
        let until = clock::now() + Duration::from_millis(HAND_OVER_MS_MAX);
        Ok(Self { child: started?, ready, until, must_end_by: None })
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it serves. Dropping this future loses nothing.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn serves(&mut self) -> Result<(), Failed> {
        let mut byte = [0];
        match timeout_at(self.until.into(), self.ready.read(&mut byte)).await {
            Ok(Ok(1)) => Ok(()),
            Ok(_ends) => Err(Failed::Ended(self.ended().await)),
            Err(_elapsed) => {
                self.end();
                Err(Failed::TooSlow)
            }
        }
    }

    /// It has closed its end, as one that exits does, but not before it has: how it went.
    async fn ended(&mut self) -> String {
        let until = *self.must_end_by.get_or_insert_with(|| clock::now() + EXIT_MAX);
        while clock::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            sleep(EXIT_LOOK).await;
        }
        self.end()
    }

    /// Ends it, if it has not ended; how it did.
    pub fn end(&mut self) -> String {
        let _ended_already = self.child.kill();
        self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

/// Tells the one that we take over from. It may have ended meanwhile, which changes nothing for us.
pub fn tell_ready(mut predecessor: UnixStream) {
    let _ = predecessor.write_all(b"1");
}
