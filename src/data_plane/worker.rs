//! A core: its event loop, tick and drain, and what its connections share.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
    time::Duration,
};

use arc_swap::ArcSwap;
use slab::Slab;

use crate::{
    boundary::{
        counters::CoreWriter,
        errand::Errands,
        ledger::Writer,
        notice::Notices,
        orders::Orders,
        snapshot::{Published, Snapshot},
    },
    data_plane::{
        accept::{Alive, accept},
        dispatch::SigningKeys,
        door::CheckingKeys,
        intake::Birth,
        place::Load,
        pool::Pool,
        scratch::Spares,
    },
    limits::{CONNECTIONS_REFUSED_MAX, GIVING_UP_MS_MAX, TICK_MS},
    net::{
        clock, cores,
        runtime::{self, Driver, sleep},
        tcp::{Bound, Listener},
        tls::{Certificates, ClientTls},
        tls_server::ServerTls,
    },
    policy::{balance::Balancer, budget::RetryBudget},
};

/// What a core is started with.
pub struct Start {
    /// The listening sockets, bound: one, unless somebody else has made them.
    pub bound: Vec<Bound>,
    /// The processor core to stay on, if any.
    pub core: Option<usize>,
    /// The event loop's system interface.
    pub driver: Driver,
    /// What its connections share from the start.
    pub equipment: Equipment,
    /// What the control plane tells all cores.
    pub orders: Arc<Orders>,
}

/// What the connections of one core share from the start.
pub struct Equipment {
    /// Where snapshots come from.
    pub published: Arc<Published>,
    /// Where certificates come from.
    pub certificates: Arc<ArcSwap<Certificates>>,
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
    /// TLS configuration and sessions, of these certificates.
    tls: RefCell<(ClientTls, Arc<Certificates>)>,
    certificates: Arc<ArcSwap<Certificates>>,
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
    /// What is under way.
    pub load: Load,
    ending: Cell<Ending>,
    connections: RefCell<Slab<Waker>>,
    /// Those who accept, to be woken when a drain begins.
    acceptors: RefCell<Vec<Waker>>,
    /// Tasks that are connections, or accept them.
    alive: Cell<usize>,
    /// Those of them that are streams of HTTP/2.
    streams: Cell<usize>,
}

/// How far a core's end has come.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Ending {
    /// It goes on.
    Not,
    /// No new connection; a request is its connection's last, and told so.
    Draining,
    /// Connections that had no request since close.
    ClosingIdle,
    /// All close.
    Over,
}

impl Worker {
    fn new(equipment: Equipment) -> io::Result<Self> {
        let Equipment {
            published,
            certificates,
            number,
            ledger,
            counters,
            budget,
            notices,
            errands,
        } = equipment;
        let read = certificates.load_full();
        let tls = ClientTls::new(read.trusted.clone());
        let tls = tls.map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self {
            snapshot: RefCell::new(Rc::new(published.newest())),
            published,
            pool: Pool::default(),
            spares: Spares::default(),
            tls: RefCell::new((tls, read)),
            certificates,
            signing: RefCell::default(),
            checking: RefCell::default(),
            balancer: RefCell::new(Balancer::new(number.into(), budget)),
            number,
            ledger: ledger.map(Rc::new),
            counters,
            notices,
            errands,
            random: RefCell::new(fastrand::Rng::new()),
            load: Load::default(),
            ending: Cell::new(Ending::Not),
            connections: RefCell::default(),
            acceptors: RefCell::default(),
            alive: Cell::new(0),
            streams: Cell::new(0),
        })
    }

    /// The snapshot that an exchange begun now keeps.
    #[must_use]
    pub fn snapshot(&self) -> Rc<Arc<Snapshot>> {
        self.snapshot.borrow().clone()
    }

    /// What connections made now are secured with.
    #[must_use]
    pub fn tls(&self) -> ClientTls {
        self.tls.borrow().0.clone()
    }

    /// What connections from clients are secured with; `None`: nothing.
    #[must_use]
    pub fn server_tls(&self) -> Option<ServerTls> {
        self.tls.borrow().1.server.clone()
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

    /// Whether each request is its connection's last.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.ending.get() >= Ending::Draining
    }

    /// Whether connections without a request are to close.
    #[must_use]
    pub fn closes_idle(&self) -> bool {
        self.ending.get() >= Ending::ClosingIdle
    }

    /// Whether what is still under way is to be given up.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ending.get() >= Ending::Over
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

    /// Whether another connection may come.
    pub fn room(&self) -> Room {
        // Those that were accepted this instant are not among those noted.
        let others = self.acceptors.borrow().len() + self.streams.get();
        let open = self.alive.get().saturating_sub(others) as u64;
        let max = self.snapshot.borrow().bounds.connections_max;
        if open < max {
            return Room::ForOne;
        }
        self.counters.connections_refused.add(1);
        // Those that are told so are open for a moment, too.
        if open < max + CONNECTIONS_REFUSED_MAX { Room::ToRefuse } else { Room::None }
    }

    /// No connection, not even one that was accepted this instant; and nobody who accepts.
    fn is_idle(&self) -> bool {
        self.alive.get() == 0
    }

    /// A task begins that the core's end waits for.
    pub fn begin_task(&self) {
        self.alive.set(self.alive.get() + 1);
    }

    /// It has ended.
    pub fn end_task(&self) {
        self.alive.set(self.alive.get() - 1);
    }

    /// A stream begins, which the core's end waits for.
    pub fn begin_stream(&self) {
        self.streams.set(self.streams.get() + 1);
        self.begin_task();
    }

    /// It has ended.
    pub fn end_stream(&self) {
        self.streams.set(self.streams.get() - 1);
        self.end_task();
    }

    /// Notes one who accepts, to be woken when a drain begins.
    pub fn enter_acceptor(&self, waker: Waker) {
        self.acceptors.borrow_mut().push(waker);
    }

    /// A further stage, if it is one, of which everybody is told.
    fn begin(&self, stage: Ending) {
        if stage <= self.ending.get() {
            return;
        }
        self.ending.set(stage);
        let (connections, acceptors) = (self.connections.borrow(), self.acceptors.borrow());
        connections.iter().map(|(_, waker)| waker).chain(&*acceptors).for_each(Waker::wake_by_ref);
    }

    /// Whether `take` took a connection.
    pub fn has_accepted(&self, take: impl FnOnce() -> bool) -> bool {
        let before = self.alive.get();
        take() && self.alive.get() > before
    }

    fn tick(&self) {
        let newest = self.published.newest();
        let is_new = self.snapshot.borrow().generation != newest.generation;
        if is_new {
            *self.snapshot.borrow_mut() = Rc::new(newest);
        }
        self.renew_certificates();
        self.pool.sweep(clock::now());
        self.counters.ticks.add(1);
    }

    fn renew_certificates(&self) {
        let newest = self.certificates.load();
        if Arc::ptr_eq(&newest, &self.tls.borrow().1) {
            return;
        }
        // It was possible with the former ones, and depends on the provider alone.
        if let Ok(tls) = ClientTls::new(newest.trusted.clone()) {
            *self.tls.borrow_mut() = (tls, newest.clone());
        }
    }
}

/// What can be done with another connection.
pub enum Room {
    /// It is served.
    ForOne,
    /// It can be told that there is none.
    ToRefuse,
    /// It is closed.
    None,
}

/// Runs a core until it is drained.
///
/// # Errors
/// When the event loop cannot be made or a socket cannot be taken over.
pub fn run(start: Start) -> io::Result<()> {
    if let Some(core) = start.core {
        cores::pin(core)?;
    }
    let driver = start.driver;
    runtime::run(driver, async move {
        start.equipment.counters.thread.add(cores::thread());
        let worker = Rc::new(Worker::new(start.equipment)?);
        for bound in start.bound {
            let listener = Listener::new(bound, driver)?;
            runtime::spawn(accept(listener, Alive::new(&worker), start.orders.clone()));
        }
        while !start.orders.is_draining.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(TICK_MS)).await;
            worker.tick();
        }
        drain(&worker, &start.orders).await;
        Ok(())
    })?
}

/// Accepts no more; ends when all is done, or must be.
async fn drain(worker: &Worker, orders: &Orders) {
    let after = |ms: &AtomicU64| clock::now() + Duration::from_millis(ms.load(Ordering::Relaxed));
    let (deadline, idle_until) = (after(&orders.grace_ms), after(&orders.idle_ms));
    worker.begin(Ending::Draining);
    while !worker.is_idle() && clock::now() < deadline && !orders.must_end.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(TICK_MS / 10)).await;
        worker.tick();
        if clock::now() >= idle_until {
            worker.begin(Ending::ClosingIdle);
        }
    }
    // The runtime drops no task when it ends: each ends itself, and closes its account.
    worker.begin(Ending::Over);
    let deadline = clock::now() + Duration::from_millis(GIVING_UP_MS_MAX);
    while !worker.is_idle() && clock::now() < deadline {
        sleep(Duration::from_millis(1)).await;
    }
}
