//! A running proxy: listens for signals, tells the operator what the cores tell, and ends all in order: first
//! the cores, then the control thread, so that it sees all that they did.

use std::{
    future, io, net::SocketAddr, os::unix::net::UnixStream, sync::atomic::Ordering,
    thread::JoinHandle, time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

use super::{
    bulletin::Bulletin,
    control::Control,
    reload::{Reloader, Source},
    successor::{self, Failed, Program, Successor},
    supervisor::RunError,
    systemd::ServiceManager,
};
use crate::{
    boundary::notice::NoticeReader,
    limits::{HANDED_OVER_IDLE_MS, TICK_MS},
    net::{clock, signals, tcp::Bound},
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
    /// The cores' sockets, to be passed on; none once a drain has begun, so that the kernel closes them with
    /// the cores'.
    sockets: Vec<Bound>,
}

/// What the one who waits for a proxy gives it.
pub struct Plan {
    /// Where the configuration is read from, again on each SIGHUP.
    pub source: Source,
    /// What is started on SIGUSR2; none: nothing is.
    pub program: Option<Program>,
    /// What is told that we live.
    pub manager: ServiceManager,
    /// Who is told, once, that we serve.
    pub predecessor: Option<UnixStream>,
    /// Connections that wait when we end are for whoever has the sockets, too.
    pub leaves_queue: bool,
}

impl Plan {
    /// With a configuration alone.
    #[must_use]
    pub fn of(source: Source) -> Self {
        let manager = ServiceManager::default();
        Self { source, program: None, manager, predecessor: None, leaves_queue: false }
    }
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
        sockets: Vec<Bound>,
    ) -> Self {
        Self { driver_line, reloader, cores: Vec::new(), control: Some(control), notices, sockets }
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
    /// the plan's source says is put in force; on SIGUSR2 a successor takes over.
    ///
    /// # Errors
    /// [`RunError::Core`] if a core or the control thread failed.
    pub fn wait(mut self, plan: Plan, mut say: impl FnMut(&str)) -> Result<(), RunError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(RunError::Core)?;
        let mut bulletin = Bulletin::default();
        let supervised = runtime.block_on(self.supervise(plan, &mut bulletin, &mut say));
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

    fn drain(&mut self) {
        self.sockets.clear();
        self.reloader.orders.is_draining.store(true, Ordering::Relaxed);
    }

    fn give_up(&self) {
        self.reloader.orders.must_end.store(true, Ordering::Relaxed);
    }

    async fn supervise(
        &mut self,
        mut plan: Plan,
        bulletin: &mut Bulletin,
        say: &mut impl FnMut(&str),
    ) -> io::Result<()> {
        let mut end = EndSignals::new()?;
        let was_handed_over = self.serve(&mut plan, &mut end, bulletin, say).await?;
        self.drain();
        say(
            "stopping: no new connections; requests in flight may finish; signal again to end at once",
        );
        // To end a service, all its processes are told: the first time, that is no news to this one.
        let mut may_ignore = was_handed_over;
        while !self.cores.iter().all(JoinHandle::is_finished) {
            tokio::select! {
                () = end.next() => {
                    if !std::mem::take(&mut may_ignore) {
                        self.give_up();
                    }
                }
                () = sleep(Duration::from_millis(TICK_MS / 10)) => {}
            }
            bulletin.publish(&self.notices, clock::now(), say);
            plan.manager.watch(&self.reloader.cores, clock::now());
        }
        Ok(())
    }

    /// Until the end begins; whether another process has taken over.
    async fn serve(
        &mut self,
        plan: &mut Plan,
        end: &mut EndSignals,
        bulletin: &mut Bulletin,
        say: &mut impl FnMut(&str),
    ) -> io::Result<bool> {
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut hand_over = signal(SignalKind::user_defined2())?;
        let mut successor: Option<Successor> = None;
        signals::release();
        self.reloader.wait_for_cores().await;
        plan.manager.ready();
        if let Some(predecessor) = plan.predecessor.take() {
            successor::tell_ready(predecessor);
        }
        let orders = self.reloader.orders.clone();
        orders.leaves_queue.store(plan.leaves_queue, Ordering::Relaxed);
        loop {
            tokio::select! {
                () = end.next() => break,
                // While another one starts, a reload could change what it reads: it comes after.
                _ = hang_up.recv(), if successor.is_none() => {
                    plan.manager.reloading();
                    self.reloader.reload(&plan.source, say).await;
                    plan.manager.ready();
                }
                _ = hand_over.recv(), if successor.is_none() => {
                    successor = self.start_successor(plan.program.as_ref(), say);
                }
                served = serves(&mut successor) => {
                    if let Some(pid) = taken_over(successor.take(), served, say) {
                        plan.manager.handed_over(pid);
                        orders.leaves_queue.store(true, Ordering::Relaxed);
                        orders.idle_ms.store(HANDED_OVER_IDLE_MS, Ordering::Relaxed);
                        return Ok(true);
                    }
                }
                () = sleep(Duration::from_millis(TICK_MS)) => {}
            }
            bulletin.publish(&self.notices, clock::now(), say);
            plan.manager.watch(&self.reloader.cores, clock::now());
            if let Some(what) = self.who_has_ended() {
                say(what);
                break;
            }
        }
        // It would take over from one that was told to end.
        successor.map(|mut successor| successor.end());
        plan.manager.stopping();
        Ok(false)
    }

    fn start_successor(
        &self,
        program: Option<&Program>,
        say: &mut impl FnMut(&str),
    ) -> Option<Successor> {
        let Some(program) = program else {
            say("SIGUSR2: nothing can take over from this process");
            return None;
        };
        match Successor::start(program, &self.sockets) {
            Ok(successor) => {
                say(&format!("handing over to process {}, which starts", successor.pid()));
                Some(successor)
            }
            Err(error) => {
                let name = program.name.display();
                say(&format!("HAND-OVER FAILED: {name} cannot be started: {error}; serving on"));
                None
            }
        }
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

/// Never, while none is starting.
async fn serves(successor: &mut Option<Successor>) -> Result<(), Failed> {
    match successor {
        Some(successor) => successor.serves().await,
        None => future::pending().await,
    }
}

/// The process that serves from here on, if it does.
fn taken_over(
    successor: Option<Successor>,
    served: Result<(), Failed>,
    say: &mut impl FnMut(&str),
) -> Option<u32> {
    let pid = successor?.pid();
    match served {
        Ok(()) => {
            say(&format!("handed over to process {pid}, which serves"));
            return Some(pid);
        }
        Err(Failed::Ended(how)) => say(&format!(
            "HAND-OVER FAILED: process {pid} has ended ({how}), and has said why; serving on"
        )),
        Err(Failed::TooSlow) => say(&format!(
            "HAND-OVER FAILED: process {pid} did not serve in time, and was ended; serving on"
        )),
    }
    None
}

impl Drop for Running {
    fn drop(&mut self) {
        self.give_up();
        self.drain();
    }
}
