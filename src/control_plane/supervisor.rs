//! Starts the cores and the control thread, tells the operator, and ends them: first the cores, then the
//! control thread, so that it sees all that they did.
//!
//! The one place where the control plane names the data plane: somebody has to start it.

use std::{
    fmt, io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use rustls::RootCertStore;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use super::{
    admin::{self, Desk},
    bind::Bind,
    books::{Books, Ledger},
    bulletin::Bulletin,
    config::{DriverChoice, Settings},
    control::{Control, Stop, keep_resolving},
    credentials::Credentials,
    prepare::{self, Lasting},
    resolver,
};
use crate::{
    boundary::{
        counters,
        errand::{self, ErrandReader},
        notice::{self, Event, NoticeReader},
        snapshot::{Endpoint, Published},
    },
    data_plane::worker::{self, Equipment, Shared, Start},
    limits::{CREDENTIALS_AT_START_MS_MAX, RESOLVE_AT_START_MS_MAX, TICK_MS},
    net::{
        clock, cores,
        runtime::{Driver, probe_io_uring},
        signals,
        tcp::Bound,
        tls::{self, ClientTls},
    },
    policy::budget::RetryBudget,
};

/// Why the proxy did not start, or ended.
#[derive(Debug)]
pub enum RunError {
    /// `outcrop.driver: io_uring`, and the kernel refuses.
    NoIoUring(io::Error),
    /// `SSL_CERT_FILE` cannot be used.
    TrustedRoots(PathBuf, io::Error),
    /// The address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// TLS cannot be set up.
    Tls(String),
    /// What is to keep account of requests cannot be opened.
    Accounts(io::Error),
    /// A thread or the control plane's runtime cannot be made, or a core failed.
    Core(io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoIoUring(error) => write!(
                f,
                "outcrop.driver is io_uring, but the kernel refuses it: {error}; allow it (seccomp profile, \
                 kernel.io_uring_disabled) or set outcrop.driver: auto"
            ),
            Self::TrustedRoots(path, error) => {
                write!(f, "SSL_CERT_FILE={}: {error}", path.display())
            }
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Tls(error) => write!(f, "cannot set TLS up: {error}"),
            Self::Accounts(error) => error.fmt(f),
            Self::Core(error) => write!(f, "a core cannot run: {error}"),
        }
    }
}

/// The proxy, accepting connections. Dropping it ends it at once.
pub struct Running {
    address: SocketAddr,
    /// For the start-up line: which driver, and why.
    pub driver_line: String,
    shared: Arc<Shared>,
    cores: Vec<JoinHandle<io::Result<()>>>,
    /// None once it was told to end.
    control: Option<Control>,
    notices: NoticeReader,
}

/// Starts the control thread and one core per worker. `workers` 0 means one for each processor core that we may use.
///
/// # Errors
/// [`RunError`]; nothing runs then.
pub fn start(settings: &Settings, bind: &Bind, workers: usize) -> Result<Running, RunError> {
    let processor_cores = cores::allowed_from_here();
    let count = if workers == 0 { processor_cores.len() } else { workers };
    let (driver, driver_line) = choose_driver(settings.driver, count)?;
    let roots = trusted_roots(settings)?;
    let mut lasting = Lasting::default();
    let mut ledger = Ledger::open(&settings.accounting, count).map_err(RunError::Accounts)?;
    let snapshot = prepare::snapshot(settings, &mut lasting, &mut ledger.names);
    let published = Arc::new(Published::new(snapshot.map_err(RunError::Accounts)?));
    let bound =
        listen(bind.address, count).map_err(|error| RunError::Listen(bind.address, error))?;
    let address = bound[0].address().map_err(RunError::Core)?;
    resolve_first(lasting.endpoints.all()).map_err(RunError::Core)?;
    let (notices, reader) = notice::channel();
    for words in std::mem::take(&mut ledger.words) {
        notices.tell(None, Event::Accounts(words));
    }
    let shared = Arc::new(Shared::default());
    let (errands, errand_reader) = errand::channel();
    let mut writers = std::mem::take(&mut ledger.writers).into_iter();
    let (counters, count_readers): (Vec<_>, Vec<_>) =
        (0..count).map(|_| counters::channel()).unzip();
    let names = Arc::new(std::mem::take(&mut ledger.names));
    let budget = Arc::new(RetryBudget::new(count));
    let client_config = tls::client_config(roots.clone());
    let (credentials, first_credentials) = Credentials::new(
        &lasting.credentials.renewable,
        client_config.map_err(|error| RunError::Tls(error.to_string()))?,
        notices.clone(),
        published.newest().pages.ready.clone(),
    );
    let duties = Duties {
        settings: settings.clone(),
        published: published.clone(),
        address,
        endpoints: lasting.endpoints.all().to_vec(),
        credentials,
        errands: errand_reader,
        books: ledger.into_books(settings, names, count_readers, notices.clone(), driver.word()),
    };
    let control = Control::start(|stop| control(duties, stop)).map_err(RunError::Core)?;
    first_credentials.wait(Duration::from_millis(CREDENTIALS_AT_START_MS_MAX));
    let (cores, control) = (Vec::new(), Some(control));
    let mut running = Running { address, driver_line, shared, cores, control, notices: reader };
    let mut counters = counters.into_iter();
    for (index, bound) in bound.into_iter().enumerate() {
        let start = Start {
            bound,
            // More workers than cores are for tests; pinning them would only make them queue.
            core: (count <= processor_cores.len()).then(|| processor_cores[index]),
            driver,
            equipment: Equipment {
                published: published.clone(),
                number: u16::try_from(index).unwrap_or(u16::MAX),
                ledger: writers.next(),
                counters: counters.next().expect("one for each core"),
                budget: budget.clone(),
                tls: ClientTls::new(roots.clone())
                    .map_err(|error| RunError::Tls(error.to_string()))?,
                notices: notices.clone(),
                errands: errands.clone(),
            },
            shared: running.shared.clone(),
            grace: Duration::from_secs(settings.shutdown_grace_s),
        };
        let name = format!("outcrop-core-{index}");
        let core = std::thread::Builder::new().name(name).spawn(move || worker::run(start));
        running.cores.push(core.map_err(RunError::Core)?);
    }
    Ok(running)
}

/// What the control thread does, and what it needs for that.
struct Duties {
    settings: Settings,
    published: Arc<Published>,
    address: SocketAddr,
    endpoints: Vec<Arc<Endpoint>>,
    credentials: Credentials,
    errands: ErrandReader,
    books: Books,
}

/// All of the control thread, until it is told to end, by when the cores have ended.
async fn control(duties: Duties, stop: Stop) -> io::Result<()> {
    let credentials = tokio::spawn(duties.credentials.keep());
    let books = duties.books.open()?;
    let (spend, metrics) = (books.spend.clone(), books.metrics.clone());
    let desk = Desk::new(&duties.settings, spend, metrics, (duties.published, duties.address));
    let tasks = [
        credentials,
        tokio::spawn(keep_resolving(duties.endpoints)),
        tokio::spawn(admin::serve(duties.errands, desk)),
    ];
    let kept = books.keep(stop).await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    kept
}

impl Running {
    /// Where the proxy listens, with the port the kernel chose if it was asked to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits, on the calling thread, for a signal or a core's failure; then ends in order.
    ///
    /// # Errors
    /// [`RunError::Core`] if a core or the control thread failed.
    pub fn wait(mut self, mut say: impl FnMut(&str)) -> Result<(), RunError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(RunError::Core)?;
        let mut bulletin = Bulletin::default();
        let supervised = runtime.block_on(self.supervise(&mut bulletin, &mut say));
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
        self.shared.is_draining.store(true, Ordering::Relaxed);
        let mut result = Ok(());
        for core in std::mem::take(&mut self.cores) {
            let ended = core.join().unwrap_or_else(|_panic| Err(io::Error::other("it panicked")));
            result = result.and(ended.map_err(RunError::Core));
        }
        let ended = self.control.take().map_or(Ok(()), Control::end);
        result.and(ended.map_err(RunError::Core))
    }

    async fn supervise(
        &self,
        bulletin: &mut Bulletin,
        say: &mut impl FnMut(&str),
    ) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let _caught = signal(SignalKind::hangup())?; // the books act on it; from here on it does not kill
        signals::release();
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                () = sleep(Duration::from_millis(TICK_MS)) => {
                    bulletin.publish(&self.notices, clock::now(), say);
                    if self.cores.iter().any(JoinHandle::is_finished) {
                        say("a core has ended by itself; stopping the others");
                        break;
                    }
                    if self.control.as_ref().is_some_and(Control::is_finished) {
                        say("the control thread has ended by itself; stopping the cores");
                        break;
                    }
                }
            }
        }
        self.shared.is_draining.store(true, Ordering::Relaxed);
        say(
            "stopping: no new connections; requests in flight may finish; signal again to end at once",
        );
        while !self.cores.iter().all(JoinHandle::is_finished) {
            tokio::select! {
                _ = terminate.recv() => self.shared.must_end.store(true, Ordering::Relaxed),
                _ = interrupt.recv() => self.shared.must_end.store(true, Ordering::Relaxed),
                () = sleep(Duration::from_millis(TICK_MS / 10)) => {}
            }
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.must_end.store(true, Ordering::Relaxed);
        self.shared.is_draining.store(true, Ordering::Relaxed);
    }
}

/// Addresses are there before the first request if DNS is well; if it is not, we serve what we can and
/// [`keep_resolving`].
fn resolve_first(endpoints: &[Arc<Endpoint>]) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let limit = Duration::from_millis(RESOLVE_AT_START_MS_MAX);
    let _ = runtime
        .block_on(async { tokio::time::timeout(limit, resolver::resolve_all(endpoints)).await });
    runtime.shutdown_background(); // a look-up that hangs is on a thread of its own
    Ok(())
}

/// For `count` cores.
fn choose_driver(choice: DriverChoice, count: usize) -> Result<(Driver, String), RunError> {
    let (driver, reason) = match choice {
        DriverChoice::Epoll => (Driver::Epoll, "as outcrop.driver says".to_owned()),
        DriverChoice::IoUring => (
            Driver::IoUring(probe_io_uring(count).map_err(RunError::NoIoUring)?),
            "as outcrop.driver says".to_owned(),
        ),
        DriverChoice::Auto => match probe_io_uring(count) {
            Ok(flags) => (Driver::IoUring(flags), "the kernel grants it".to_owned()),
            Err(error) => (Driver::Epoll, format!("the kernel refuses io_uring: {error}")),
        },
    };
    Ok((driver, format!("{driver}: {reason}")))
}

fn trusted_roots(settings: &Settings) -> Result<Arc<RootCertStore>, RunError> {
    let file = settings.trusted_roots_file.as_deref();
    tls::trusted_roots(file)
        .map_err(|error| RunError::TrustedRoots(file.unwrap_or("".as_ref()).to_owned(), error))
}

/// One listening socket for each core, on one address.
fn listen(address: SocketAddr, count: usize) -> io::Result<Vec<Bound>> {
    refuse_taken(address)?;
    let first = Bound::listen(address)?;
    let same = first.address()?;
    let mut all = vec![first];
    for _ in 1..count {
        all.push(Bound::listen(same)?);
    }
    Ok(all)
}

/// `SO_REUSEPORT` would let us share the port with another Outcrop of the same user, and each would
/// get half of the connections: an accident, not a wish.
fn refuse_taken(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    Bound::probe(address)
}
