//! Starts the cores and the control thread.
//!
//! The one place where the control plane names the data plane: somebody has to start it.

use std::{
    fmt, io, iter,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use arc_swap::ArcSwap;

pub use super::running::Running;
use super::{
    admin::{self, Desk, Knowledge},
    bind::{self, Bind, BindError},
    books::{Books, Ledger},
    certificates,
    config::{DriverChoice, Settings},
    control::{Control, Stop, keep_resolving},
    credentials::{Credentials, First},
    prepare::{self, Lasting},
    reload::Reloader,
    resolver,
};
use crate::{
    boundary::{
        counters::{self, CoreWriter},
        errand::{self, ErrandReader, Errands},
        ledger::Writer,
        notice::{self, Event, Notices},
        orders::Orders,
        snapshot::{Endpoint, Published},
    },
    data_plane::worker::{self, Equipment, Start},
    limits::{CREDENTIALS_AT_START_MS_MAX, DRAIN_IDLE_MS, RESOLVE_AT_START_MS_MAX},
    net::{
        cores,
        runtime::{Driver, probe_io_uring},
        tcp::Bound,
        tls::{self, Certificates},
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
    /// The key is no protection, and the sockets that were given are reachable from elsewhere.
    Unsafe(BindError),
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
            Self::Unsafe(error) => error.fmt(f),
            Self::Tls(error) => write!(f, "cannot set TLS up: {error}"),
            Self::Accounts(error) => error.fmt(f),
            Self::Core(error) => write!(f, "a core cannot run: {error}"),
        }
    }
}

/// Starts the control thread and one core per worker. `workers` 0 means one for each processor core that we may use.
///
/// # Errors
/// [`RunError`]; nothing runs then.
pub fn start(settings: &Settings, bind: &Bind, workers: usize) -> Result<Running, RunError> {
    start_on(settings, Sockets::Of(bind.address), workers)
}

/// Where connections come from.
pub enum Sockets {
    /// Of our own, at this address.
    Of(SocketAddr),
    /// Made by somebody else, who may use them, too; at least one.
    Given(Vec<Bound>),
}

/// As [`start`], with sockets that may be there already.
///
/// # Errors
/// [`RunError`]; nothing runs then.
pub fn start_on(
    settings: &Settings,
    sockets: Sockets,
    workers: usize,
) -> Result<Running, RunError> {
    let processor_cores = cores::allowed_from_here();
    let count = if workers == 0 { processor_cores.len() } else { workers };
    let (driver, driver_line) = choose_driver(settings.driver, count)?;
    let certificates = Arc::new(ArcSwap::from_pointee(certificates::read(settings)?));
    let mut lasting = Lasting::default();
    let mut ledger = Ledger::open(&settings.accounting, count).map_err(RunError::Accounts)?;
    let snapshot = prepare::snapshot(settings, &mut lasting, &mut ledger.names);
    let published = Arc::new(Published::new(snapshot.map_err(RunError::Accounts)?));
    let sockets = opened(sockets, settings, count)?;
    let address = sockets[0].address().map_err(RunError::Core)?;
    let shares = shares(&sockets, count).map_err(RunError::Core)?;
    resolve_first(lasting.endpoints.all()).map_err(RunError::Core)?;
    let (notices, notice_reader) = notice::channel();
    for words in std::mem::take(&mut ledger.words) {
        notices.tell(None, Event::Accounts(words));
    }
    let orders = Arc::new(Orders::default());
    orders.grace_ms.store(settings.shutdown_grace_s * 1000, Ordering::Relaxed);
    orders.idle_ms.store(DRAIN_IDLE_MS, Ordering::Relaxed);
    let (errands, errand_reader) = errand::channel();
    let writers = std::mem::take(&mut ledger.writers);
    let (counters, count_readers): (Vec<_>, Vec<_>) =
        (0..count).map(|_| counters::channel()).unzip();
    let (credentials, first_credentials) = credentials(&mut lasting, &certificates, &notices)?;
    let reloader = Reloader {
        started_with: settings.clone(),
        address,
        lasting,
        names: Arc::new(ArcSwap::from_pointee(std::mem::take(&mut ledger.names))),
        knowledge: Knowledge::of(settings),
        certificates: certificates.clone(),
        published: published.clone(),
        orders: orders.clone(),
        cores: count_readers.clone(),
        reloads: Arc::default(),
    };
    let known = (driver.word(), reloader.reloads.clone());
    let names = reloader.names.clone();
    let duties = Duties {
        knowledge: reloader.knowledge.clone(),
        published: published.clone(),
        address,
        credentials,
        errands: errand_reader,
        books: ledger.into_books(settings, names, count_readers, notices.clone(), known),
    };
    let control = Control::start(|stop| control(duties, stop)).map_err(RunError::Core)?;
    first_credentials.wait(Duration::from_millis(CREDENTIALS_AT_START_MS_MAX));
    let shared = Equipped { published, certificates, notices, errands, orders };
    let mut running = Running::new(driver_line, reloader, control, notice_reader, sockets);
    // More workers than cores are for tests; pinning them would only make them queue.
    let pins = (count <= processor_cores.len()).then_some(processor_cores);
    let parts = shares.into_iter().zip(counters).zip(padded(writers, count));
    let budget = Arc::new(RetryBudget::new(count));
    for (index, ((bound, counters), ledger)) in parts.enumerate() {
        let equipment = shared.equipment(index, counters, ledger, budget.clone());
        let core = pins.as_ref().map(|cores| cores[index]);
        let start = Start { bound, core, driver, equipment, orders: shared.orders.clone() };
        let name = format!("outcrop-core-{index}");
        let core = std::thread::Builder::new().name(name).spawn(move || worker::run(start));
        running.add_core(core.map_err(RunError::Core)?);
    }
    Ok(running)
}

/// Sockets that listen, at most one for each of `count` cores if we open them.
fn opened(sockets: Sockets, settings: &Settings, count: usize) -> Result<Vec<Bound>, RunError> {
    match sockets {
        Sockets::Of(address) => {
            listen(address, count).map_err(|error| RunError::Listen(address, error))
        }
        Sockets::Given(given) => {
            for socket in &given {
                let address = socket.address().map_err(RunError::Core)?;
                bind::check(address, settings).map_err(RunError::Unsafe)?;
            }
            Ok(given)
        }
    }
}

/// Who asks for credentials, and who waits for the first of them.
fn credentials(
    lasting: &mut Lasting,
    certificates: &ArcSwap<Certificates>,
    notices: &Notices,
) -> Result<(Credentials, First), RunError> {
    let config = tls::client_config(certificates.load().trusted.clone());
    let config = config.map_err(|error| RunError::Tls(error.to_string()))?;
    Ok(Credentials::new(lasting, config, notices.clone()))
}

/// `count` writers, or as many times none.
fn padded(writers: Vec<Writer>, count: usize) -> impl Iterator<Item = Option<Writer>> {
    writers.into_iter().map(Some).chain(iter::repeat_with(|| None)).take(count)
}

/// What all cores get the same of.
struct Equipped {
    published: Arc<Published>,
    certificates: Arc<ArcSwap<Certificates>>,
    notices: Notices,
    errands: Errands,
    orders: Arc<Orders>,
}

impl Equipped {
    fn equipment(
        &self,
        index: usize,
        counters: CoreWriter,
        ledger: Option<Writer>,
        budget: Arc<RetryBudget>,
    ) -> Equipment {
        Equipment {
            published: self.published.clone(),
            certificates: self.certificates.clone(),
            number: u16::try_from(index).unwrap_or(u16::MAX),
            ledger,
            counters,
            budget,
            notices: self.notices.clone(),
            errands: self.errands.clone(),
        }
    }
}

/// What the control thread does, and what it needs for that.
struct Duties {
    knowledge: Knowledge,
    published: Arc<Published>,
    address: SocketAddr,
    credentials: Credentials,
    errands: ErrandReader,
    books: Books,
}

/// All of the control thread, until it is told to end, by when the cores have ended.
async fn control(duties: Duties, stop: Stop) -> io::Result<()> {
    let credentials = tokio::spawn(duties.credentials.keep());
    let books = duties.books.open()?;
    let (spend, metrics) = (books.spend.clone(), books.metrics.clone());
    let place = (duties.published.clone(), duties.address);
    let desk = Desk::new(duties.knowledge, spend, metrics, place);
    let tasks = [
        credentials,
        tokio::spawn(keep_resolving(duties.published)),
        tokio::spawn(admin::serve(duties.errands, desk)),
    ];
    let kept = books.keep(stop).await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    kept
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

/// For each core the sockets that it accepts from: its own one, if there are as many; all are somebody's, and
/// cores share what there is too little of.
fn shares(sockets: &[Bound], count: usize) -> io::Result<Vec<Vec<Bound>>> {
    let of = |core: usize| {
        let all = (0..sockets.len().max(count)).filter(move |turn| turn % count == core);
        all.map(|turn| sockets[turn % sockets.len()].share()).collect()
    };
    (0..count).map(of).collect()
}

/// `SO_REUSEPORT` would let us share the port with another Outcrop of the same user, and each would
/// get half of the connections: an accident, not a wish.
fn refuse_taken(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    Bound::probe(address)
}
