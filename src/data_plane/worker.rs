//! A core: its event loop, accept loop, tick and drain, and what its connections share.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Duration,
};

use slab::Slab;

use crate::{
    boundary::{
        counters::CoreWriter,
        errand::Errands,
        ledger::Writer,
        notice::{Event, Notices},
        snapshot::{Published, Snapshot},
    },
    data_plane::{
        connection, dispatch::SigningKeys, door::CheckingKeys, intake::Birth, pool::Pool,
        scratch::Spares,
    },
    limits::{ACCEPT_PAUSE_MS, GIVING_UP_MS_MAX, TICK_MS},
    net::{
        clock, cores,
        runtime::{self, Contained, Driver, sleep},
        tcp::{Bound, Listener},
        tls::ClientTls,
    },
    policy::{balance::Balancer, budget::RetryBudget},
};

/// What a core is started with.
pub struct Start {
    /// The listening socket, bound.
    pub bound: Bound,
    /// The processor core to stay on, if any.
    pub core: Option<usize>,
    /// The event loop's system interface.
    pub driver: Driver,
    /// What its connections share from the start.
    pub equipment: Equipment,
    /// What all cores and the control plane share.
    pub shared: Arc<Shared>,
    /// How long requests in flight may take once the drain has begun.
    pub grace: Duration,
}

/// What the connections of one core share from the start.
pub struct Equipment {
    /// Where snapshots come from.
    pub published: Arc<Published>,
    /// This core's TLS configuration.
    pub tls: ClientTls,
    /// This core's number, from 0.
    pub number: u16,
    /// Where entries go; none if no account is kept.
    pub ledger: Option<Writer>,
    /// What no entry says.
    pub counters: CoreWriter,
    /// How much of the work may be repeated; all cores share it.
    pub budget: Arc<RetryBudget>,
    /// Where notices go.
    pub notices: Notices,
    /// Where the control plane takes requests for its pages.
    pub errands: Errands,
}

/// Read and written by several threads, without locks.
#[derive(Default)]
pub struct Shared {
    /// Set to stop: no new connection, no new request, what is in flight may finish.
    pub is_draining: AtomicBool,
    /// Set to stop at once.
    pub must_end: AtomicBool,
}

/// What the connections of one core share.
pub struct Worker {
    /// Newest snapshot seen.
    #[expect(clippy::redundant_allocation, reason = "an exchange takes the Rc, without an atomic")]
    snapshot: RefCell<Rc<Arc<Snapshot>>>,
    published: Arc<Published>,
    /// Idle upstream connections.
    pub pool: Pool,
    /// Spare buffers.
    pub spares: Spares,
    /// TLS configuration and sessions.
    pub tls: ClientTls,
    /// Signing keys.
    pub signing: RefCell<SigningKeys>,
    /// Keys that clients' signatures are checked with.
    pub checking: RefCell<CheckingKeys>,
    /// Which deployment is next.
    pub balancer: RefCell<Balancer>,
    /// This core's number, from 0.
    pub number: u16,
    /// Where entries go; none if no account is kept.
    pub ledger: Option<Rc<Writer>>,
    /// What no entry says.
    pub counters: CoreWriter,
    /// For the operator.
    pub notices: Notices,
    /// To the control plane.
    pub errands: Errands,
    random: RefCell<fastrand::Rng>,
    is_draining: Cell<bool>,
    is_over: Cell<bool>,
    connections: RefCell<Slab<Waker>>,
}

impl Worker {
    fn new(equipment: Equipment) -> Self {
        let Equipment { published, tls, number, ledger, counters, budget, notices, errands } =
            equipment;
        Self {
            snapshot: RefCell::new(Rc::new(published.newest())),
            published,
            pool: Pool::default(),
            spares: Spares::default(),
            tls,
            signing: RefCell::default(),
            checking: RefCell::default(),
            balancer: RefCell::new(Balancer::new(number.into(), budget)),
            number,
            ledger: ledger.map(Rc::new),
            counters,
            notices,
            errands,
            random: RefCell::new(fastrand::Rng::new()),
            is_draining: Cell::new(false),
            is_over: Cell::new(false),
            connections: RefCell::default(),
        }
    }

    /// The snapshot that an exchange begun now keeps.
    #[must_use]
    pub fn snapshot(&self) -> Rc<Arc<Snapshot>> {
        self.snapshot.borrow().clone()
    }

    /// A uniform random number. Not for secrets.
    #[must_use]
    pub fn random(&self) -> u64 {
        self.random.borrow_mut().u64(..)
    }

    /// An id that nobody else has, and the moment.
    #[must_use]
    pub fn birth(&self) -> Birth {
        Birth::new(clock::unix_micros(), self.random.borrow_mut().u128(..))
    }

    /// Whether another request could end without a place for its entry.
    #[must_use]
    pub fn is_ledger_full(&self) -> bool {
        self.ledger.as_ref().is_some_and(|ledger| !ledger.has_room())
    }

    /// Whether this core is to take no more requests.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    /// Whether what is still under way is to be given up.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// Notes a connection, to be woken when a drain begins or is over.
    pub fn enter(&self, waker: Waker) -> usize {
        self.counters.connections_accepted.add(1);
        self.counters.connections_open.add(1);
        self.connections.borrow_mut().insert(waker)
    }

    /// Forgets a connection.
    pub fn leave(&self, ticket: usize) {
        self.counters.connections_open.sub(1);
        self.connections.borrow_mut().remove(ticket);
    }

    fn is_idle(&self) -> bool {
        self.connections.borrow().is_empty()
    }

    fn begin_drain(&self) {
        self.is_draining.set(true);
        self.wake_all();
    }

    fn end_drain(&self) {
        self.is_over.set(true);
        self.wake_all();
    }

    fn wake_all(&self) {
        for (_, waker) in self.connections.borrow().iter() {
            waker.wake_by_ref();
        }
    }

    fn tick(&self) {
        let newest = self.published.newest();
        let is_new = self.snapshot.borrow().generation != newest.generation;
        if is_new {
            *self.snapshot.borrow_mut() = Rc::new(newest);
        }
        self.pool.sweep(clock::now());
    }
}

/// Runs a core until it is drained.
///
/// # Errors
/// When the event loop cannot be made or the socket cannot be taken over.
pub fn run(start: Start) -> io::Result<()> {
    if let Some(core) = start.core {
        cores::pin(core)?;
    }
    let driver = start.driver;
    runtime::run(driver, async move {
        start.equipment.counters.thread.add(cores::thread());
        let listener = Rc::new(Listener::new(start.bound, driver)?);
        let worker = Rc::new(Worker::new(start.equipment));
        runtime::spawn(accept(listener.clone(), worker.clone()));
        while !start.shared.is_draining.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(TICK_MS)).await;
            worker.tick();
        }
        drain(&listener, &worker, &start.shared, start.grace).await;
        Ok(())
    })?
}

/// Takes what the kernel has queued, then no more; ends when all is done, or must be.
async fn drain(listener: &Listener, worker: &Worker, shared: &Shared, grace: Duration) {
    let deadline = clock::now() + grace;
    while listener.has_waiting() && clock::now() < deadline {
        sleep(Duration::from_millis(1)).await;
    }
    // Only fails if the socket is no listener, and then it takes no connections either.
    let _ = listener.stop();
    worker.begin_drain();
    while !worker.is_idle() && clock::now() < deadline && !shared.must_end.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(TICK_MS / 10)).await;
    }
    // The runtime drops no task when it ends: each ends itself, and closes its account.
    worker.end_drain();
    let deadline = clock::now() + Duration::from_millis(GIVING_UP_MS_MAX);
    while !worker.is_idle() && clock::now() < deadline {
        sleep(Duration::from_millis(1)).await;
    }
}

async fn accept(listener: Rc<Listener>, worker: Rc<Worker>) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                let worker = worker.clone();
                runtime::spawn(async move {
                    let connection: Pin<Box<_>> =
                        Box::pin(connection::serve(socket, peer.ip(), worker.clone()));
                    if !Contained(connection).await {
                        worker.notices.tell(None, Event::Panicked);
                    }
                });
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return, // stopped
            Err(error) if is_passing(&error) => {}
            Err(error) => {
                worker.notices.tell(None, Event::AcceptFailed(error));
                sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}

/// The connection failed before we got it; the listener is well.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
