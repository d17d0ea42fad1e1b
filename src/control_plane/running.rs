//! A running proxy: listens for signals, tells the operator what the cores tell, and ends all in order: first
//! the cores, then the control thread, so that it sees all that they did.

use std::{io, net::SocketAddr, sync::atomic::Ordering, thread::JoinHandle, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

use super::{
    bulletin::Bulletin,
    control::Control,
    reload::{Reloader, Source},
    supervisor::RunError,
};
use crate::{
    boundary::notice::NoticeReader,
    limits::TICK_MS,
    net::{clock, signals},
};

/// The proxy, accepting connections. Dropping it ends it at once.
pub struct Running {
    /// For the start-up line: which driver, and why.
    pub driver_line: String,
    reloader: Reloader,
    cores: Vec<JoinHandle<io::Result<()>>>,
    /// None once it was told to end.
    control: Option<Control>,
    notices: NoticeReader,
}

/// The signals that mean an end.
struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    fn new() -> io::Result<Self> {
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { terminate: signal(terminate)?, interrupt: signal(interrupt)? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Running {
    /// Without a core yet.
    pub(super) fn new(
        driver_line: String,
        reloader: Reloader,
        control: Control,
        notices: NoticeReader,
    ) -> Self {
        Self { driver_line, reloader, cores: Vec::new(), control: Some(control), notices }
    }

    pub(super) fn add_core(&mut self, core: JoinHandle<io::Result<()>>) {
        self.cores.push(core);
    }

    /// Where the proxy listens, with the port the kernel chose if it was asked to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.reloader.address
    }

    /// Waits, on the calling thread, for a signal or a core's failure; then ends in order. On SIGHUP, what
    /// `source` says is put in force.
    ///
    /// # Errors
    /// [`RunError::Core`] if a core or the control thread failed.
    pub fn wait(mut self, source: &Source, mut say: impl FnMut(&str)) -> Result<(), RunError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(RunError::Core)?;
        let mut bulletin = Bulletin::default();
        let supervised = runtime.block_on(self.supervise(source, &mut bulletin, &mut say));
        runtime.shutdown_background(); // or a look-up that hangs would hold us until it is over
        let result = supervised.map_err(RunError::Core).and(self.join());
        bulletin.publish(&self.notices, clock::now(), &mut say);
        bulletin.close(&mut say);
        result
    }

    /// Ends in order, as after one signal, without one: what is in flight may finish, within its grace.
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub fn end(mut self) -> Result<(), RunError> {
        self.join()
    }

    /// First the cores, then the control thread.
    fn join(&mut self) -> Result<(), RunError> {
        self.drain();
        let mut result = Ok(());
        for core in std::mem::take(&mut self.cores) {
            let ended = core.join().unwrap_or_else(|_panic| Err(io::Error::other("it panicked")));
            result = result.and(ended.map_err(RunError::Core));
        }
        let ended = self.control.take().map_or(Ok(()), Control::end);
        result.and(ended.map_err(RunError::Core))
    }

    fn drain(&self) {
        self.reloader.orders.is_draining.store(true, Ordering::Relaxed);
    }

    fn give_up(&self) {
        self.reloader.orders.must_end.store(true, Ordering::Relaxed);
    }

    async fn supervise(
        &mut self,
        source: &Source,
        bulletin: &mut Bulletin,
        say: &mut impl FnMut(&str),
    ) -> io::Result<()> {
        let (mut end, mut hang_up) = (EndSignals::new()?, signal(SignalKind::hangup())?);
        signals::release();
        loop {
            tokio::select! {
                () = end.next() => break,
                _ = hang_up.recv() => self.reloader.reload(source, say).await,
                () = sleep(Duration::from_millis(TICK_MS)) => {}
            }
            bulletin.publish(&self.notices, clock::now(), say);
            if let Some(what) = self.who_has_ended() {
                say(what);
                break;
            }
        }
        self.drain();
        say(
            "stopping: no new connections; requests in flight may finish; signal again to end at once",
        );
        while !self.cores.iter().all(JoinHandle::is_finished) {
            tokio::select! {
                () = end.next() => self.give_up(),
                () = sleep(Duration::from_millis(TICK_MS / 10)) => {}
            }
            bulletin.publish(&self.notices, clock::now(), say);
        }
        Ok(())
    }

    /// Nobody ends by itself while all is well.
    fn who_has_ended(&self) -> Option<&'static str> {
        if self.cores.iter().any(JoinHandle::is_finished) {
            return Some("a core has ended by itself; stopping the others");
        }
        let has_ended = self.control.as_ref().is_some_and(Control::is_finished);
        has_ended.then_some("the control thread has ended by itself; stopping the cores")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.give_up();
        self.drain();
    }
}
