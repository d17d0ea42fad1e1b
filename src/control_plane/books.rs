//! The books of a running proxy: ledger, store, access log and metrics put together, on the control thread.
//!
//! ```text
//!   cores ══ ledger ══▶ Bookkeeper ──▶ Store            spend pages ask the Bookkeeper to settle, then the Store
//!                          │ observe
//!                          ├──▶ AccessLog ◀── SIGHUP
//!                          └──▶ Metrics ◀──── /metrics, when all that was written has been shown
//! ```
//!
//! All of it is opened before the first core starts, apart from the database: one that is away is no reason
//! not to serve.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    future,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
    time::sleep,
};

use super::{
    access_log::{AccessLog, Colour},
    admin::{self, Pending, Spend, Unavailable},
    bookkeeper::{Asker, Before, Bookkeeper, Condition, Finder, Finished, Health, Sink, SinkError},
    config::{Accounting, Settings},
    metrics::{Gauges, LedgerCounts, Metrics},
    names::{Names, SharedNames},
    reload::Reloads,
    spend::{LogsQuery, Report, ReportQuery},
    store::{Access, Store, StoreError},
};
use crate::{
    boundary::{
        counters::CoreReader,
        ledger::{self, Left, Reader, Shape, Writer, entry::Entry},
        notice::{Event, Notices},
    },
    limits::{BOOKS_CLOSE_MS_MAX, PRUNE_AGAIN_MS, PRUNE_EVERY_MS, RENDERINGS_MAX},
    net::clock,
};

/// In `outcrop.data_dir`: rings, segments and names.
const LEDGER_FOLDER: &str = "outcrop.ledger";
/// In that folder.
const NAMES_FILE: &str = "names.jsonl";

/// What is opened before the cores start.
pub struct Ledger {
    /// Written by now.
    pub names: Names,
    /// One for each core; none if no account is kept.
    pub writers: Vec<Writer>,
    readers: Vec<Reader>,
    folder: PathBuf,
    log: Option<AccessLog>,
    /// What the operator should know of files that were left.
    pub words: Vec<String>,
}

impl Ledger {
    /// Opens the ledger's folder for `cores`, and the access log.
    ///
    /// # Errors
    /// What cannot be opened or made, where, and what to do about it.
    pub fn open(accounting: &Accounting, cores: usize) -> io::Result<Self> {
        let folder = accounting.data_dir.join(LEDGER_FOLDER);
        let mut all = Self {
            names: Names::in_memory(),
            writers: Vec::new(),
            readers: Vec::new(),
            folder,
            log: None,
            words: Vec::new(),
        };
        if !accounting.enabled {
            return Ok(all);
        }
        let opened = ledger::open(&all.folder, cores, Shape::default());
        let opened = opened.map_err(|error| unusable(&all.folder, &error))?;
        let names = all.folder.join(NAMES_FILE);
        all.names = Names::open(&names).map_err(|error| unusable(&names, &error))?;
        all.words = opened.damaged.iter().map(ToString::to_string).collect();
        all.readers = opened.leftovers;
        for (writer, reader) in opened.rings {
            all.writers.push(writer);
            all.readers.push(reader);
        }
        let colour = if io::stdout().is_terminal() { Colour::Coloured } else { Colour::Plain };
        all.log = AccessLog::open(accounting, colour)
            .map_err(|error| io::Error::new(error.kind(), format!("access log: {error}")))?;
        Ok(all)
    }

    /// What the control thread needs of it.
    #[must_use]
    pub fn into_books(
        self,
        settings: &Settings,
        names: SharedNames,
        cores: Vec<CoreReader>,
        notices: Notices,
        (driver, reloads): (&'static str, Arc<Reloads>),
    ) -> Books {
        let Self { readers, folder, log, .. } = self;
        let accounting = settings.accounting.clone();
        Books { accounting, readers, folder, log, names, cores, notices, driver, reloads }
    }
}

fn unusable(path: &Path, error: &io::Error) -> io::Error {
    let what = format!(
        "requests cannot be accounted for in {}: {error}; set outcrop.data_dir to a folder that can be \
         written to and has room",
        path.display()
    );
    io::Error::new(error.kind(), what)
}

/// The books, not open yet; they go to the control thread.
pub struct Books {
    accounting: Accounting,
    readers: Vec<Reader>,
    folder: PathBuf,
    log: Option<AccessLog>,
    names: SharedNames,
    cores: Vec<CoreReader>,
    notices: Notices,
    driver: &'static str,
    reloads: Arc<Reloads>,
}

/// The books, open: what the admin pages ask.
pub struct OpenBooks {
    /// For the spend pages; none if no account is kept.
    pub spend: Option<Arc<dyn Spend>>,
    /// For `/metrics`.
    pub metrics: Arc<dyn admin::Metrics>,
    keeping: Keeping,
}

struct Keeping {
    bookkeeper: Option<Bookkeeper<StoreSink>>,
    store: Option<Arc<Store>>,
    shown: Rc<Shown>,
    renderings: mpsc::Receiver<oneshot::Sender<String>>,
    notices: Notices,
}

impl Books {
    /// Opens them, on the control thread.
    ///
    /// # Errors
    /// The ledger's folder cannot be read, or `database_url` is none.
    pub fn open(self) -> io::Result<OpenBooks> {
        let (sender, renderings) = mpsc::channel(RENDERINGS_MAX);
        let shown = |health, capacity| Shown {
            metrics: RefCell::default(),
            log: RefCell::new(self.log),
            names: self.names.clone(),
            cores: self.cores,
            health,
            capacity,
            driver: self.driver,
            reloads: self.reloads,
        };
        let notices = self.notices;
        if !self.accounting.enabled {
            let shown = Rc::new(shown(Arc::default(), 0));
            let metrics = Arc::new(Renderer { sender, asker: None });
            let keeping = Keeping { bookkeeper: None, store: None, shown, renderings, notices };
            return Ok(OpenBooks { spend: None, metrics, keeping });
        }
        let store = Store::open(&self.accounting, Access::Write).map_err(io::Error::other)?;
        let store = Arc::new(store);
        let sink = StoreSink { store: store.clone(), names: self.names.clone() };
        let capacity = self.readers.iter().map(Reader::capacity).sum();
        let sync_ms = self.accounting.sync_ms;
        let bookkeeper = Bookkeeper::new(self.readers, &self.folder, sink, sync_ms)?
            .with_finder(finder(self.folder.clone(), self.names.clone()));
        let asker = bookkeeper.asker();
        let shown = Rc::new(shown(bookkeeper.health(), capacity));
        let metrics = Arc::new(Renderer { sender, asker: Some(asker.clone()) });
        let spend = Some(Arc::new(SpendDesk { store: store.clone(), asker }) as Arc<dyn Spend>);
        let (bookkeeper, store) = (Some(bookkeeper), Some(store));
        let keeping = Keeping { bookkeeper, store, shown, renderings, notices };
        Ok(OpenBooks { spend, metrics, keeping })
    }
}

impl OpenBooks {
    /// Keeps the books until `stop`, when the cores have ended; then closes them.
    ///
    /// # Errors
    /// SIGHUP cannot be listened for.
    pub async fn keep(self, stop: impl Future) -> io::Result<()> {
        let Keeping { mut bookkeeper, store, shown, mut renderings, notices } = self.keeping;
        let say = |words: &str| notices.tell(None, Event::Accounts(words.to_owned()));
        let observe = |entries: &[Entry]| shown.observe(entries);
        let work = async {
            match &mut bookkeeper {
                Some(bookkeeper) => bookkeeper.run(observe, say).await,
                None => future::pending().await,
            }
        };
        let mut reopen = signal(SignalKind::hangup())?;
        let on_signal = async {
            while reopen.recv().await.is_some() {
                shown.reopen();
            }
        };
        let render = async {
            while let Some(answer) = renderings.recv().await {
                let _ = answer.send(shown.render()); // or nobody waits any more
            }
        };
        tokio::select! {
            _ = stop => {}
            () = work => {}
            () = on_signal => {}
            () = render => {}
            () = maintain(store.as_deref(), &shown, say) => {}
        }
        let limit = Duration::from_millis(BOOKS_CLOSE_MS_MAX);
        if let Some(bookkeeper) = bookkeeper {
            match bookkeeper.finish(limit, observe, say).await {
                Finished::Recorded => {}
                Finished::Spilled => {
                    say("accounts that the store has not taken wait in the ledger's folder")
                }
                Finished::LeftInRings => {
                    say("neither store nor disk takes accounts; they wait in the ledger's files")
                }
            }
        }
        shown.close(limit, say);
        Ok(())
    }
}

/// Finds rings that others have left in `folder`. Names that others have added are read first.
fn finder(folder: PathBuf, names: SharedNames) -> Finder {
    let file = folder.join(NAMES_FILE);
    let size = move || std::fs::metadata(&file).map_or(0, |it| it.len());
    let (mut size_read, mut told) = (size(), BTreeSet::new());
    Box::new(move |say| {
        if size_read != size() {
            size_read = size();
            if let Ok(read) = Names::open(&folder.join(NAMES_FILE)) {
                names.rcu(|now| now.with(&read));
            }
        }
        let Ok(Left { leftovers, damaged }) = ledger::left(&folder) else { return Vec::new() };
        for words in damaged.iter().map(ToString::to_string) {
            if !told.contains(&words) {
                say(&words);
                told.insert(words);
            }
        }
        leftovers
    })
}

/// Says at start whether the store can be reached, deletes rows that are too old, and tells of the log.
async fn maintain(store: Option<&Store>, shown: &Shown, say: impl Fn(&str) + Copy) {
    let told = |what: Result<(), StoreError>| {
        if let Err(error) = what {
            say(&error.to_string());
        }
    };
    let prune = async {
        let Some(store) = store else { return future::pending().await };
        told(store.check().await);
        loop {
            // As long as there is something to delete: one call is bounded.
            let pruned = store.prune(clock::unix_now()).await;
            let pause = if matches!(pruned, Ok(1..)) { PRUNE_AGAIN_MS } else { PRUNE_EVERY_MS };
            told(pruned.map(drop));
            sleep(Duration::from_millis(pause)).await;
        }
    };
    let tell = async {
        loop {
            sleep(Duration::from_secs(1)).await;
            shown.tell(say);
        }
    };
    tokio::join!(prune, tell);
}

/// What entries are shown to.
struct Shown {
    metrics: RefCell<Metrics>,
    log: RefCell<Option<AccessLog>>,
    names: SharedNames,
    cores: Vec<CoreReader>,
    health: Arc<Health>,
    capacity: u64,
    driver: &'static str,
    reloads: Arc<Reloads>,
}

impl Shown {
    fn observe(&self, entries: &[Entry]) {
        let names = self.names.load();
        self.metrics.borrow_mut().observe(entries, &names);
        if let Some(log) = self.log.borrow_mut().as_mut() {
            log.record(entries, &names);
        }
    }

    fn reopen(&self) {
        if let Some(log) = self.log.borrow_mut().as_mut() {
            log.reopen();
        }
    }

    fn tell(&self, mut say: impl FnMut(&str)) {
        if let Some(log) = self.log.borrow_mut().as_mut() {
            log.publish(clock::now(), &mut say);
        }
    }

    fn close(&self, limit: Duration, mut say: impl FnMut(&str)) {
        if let Some(log) = self.log.borrow_mut().as_mut()
            && !log.flush(limit)
        {
            say("the access log takes no more lines; the last ones are not written");
        }
        self.tell(say);
    }

    fn render(&self) -> String {
        let report = self.health.report();
        let cores: Vec<_> = self.cores.iter().map(CoreReader::read).collect();
        let busy_us: Vec<_> = cores.iter().map(|core| busy_us(core.thread)).collect();
        let log = self.log.borrow();
        let away_ms = match report.condition {
            Condition::Well => 0,
            Condition::StoreAway { since } | Condition::DiskRefuses { since } => {
                clock::unix_micros().0.saturating_sub(since.0) / 1000
            }
        };
        let gauges = Gauges {
            cores: &cores,
            busy_us: &busy_us,
            ledger: LedgerCounts {
                depth: report.depth,
                capacity: self.capacity,
                lost: report.lost,
                torn: report.torn,
            },
            spill_bytes: report.spill_bytes,
            store_away_ms: away_ms,
            access_log_dropped: log.as_ref().map_or(0, AccessLog::dropped),
            access_log_write_errors: log.as_ref().map_or(0, AccessLog::write_errors),
            version: env!("CARGO_PKG_VERSION"),
            driver: self.driver,
            reloads: self.reloads.counts(),
        };
        self.metrics.borrow().render(&gauges)
    }
}

/// Processor time of a thread of ours, in microseconds, by the kernel's account; 0 if it keeps none.
fn busy_us(thread: u64) -> u64 {
    let account = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"));
    let ns = account.ok().and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    ns.unwrap_or(0) / 1000
}

/// The store, as the bookkeeper wants it.
struct StoreSink {
    store: Arc<Store>,
    names: SharedNames,
}

impl Sink for StoreSink {
    async fn record(&self, entries: &[&Entry], before: Before) -> Result<(), SinkError> {
        let names = self.names.load_full();
        let recorded = self.store.record(entries, &names, before).await;
        recorded.map_err(|error| SinkError { what: error.to_string() })
    }
}

/// Renders on the control thread's own task, which owns the metrics.
struct Renderer {
    sender: mpsc::Sender<oneshot::Sender<String>>,
    asker: Option<Asker>,
}

impl admin::Metrics for Renderer {
    fn text(&self) -> Pending<'_, String> {
        Box::pin(async {
            if let Some(asker) = &self.asker {
                asker.shown().await;
            }
            let (answer, answered) = oneshot::channel();
            if self.sender.send(answer).await.is_err() {
                return String::new();
            }
            answered.await.unwrap_or_default()
        })
    }
}

/// Answers from the store when it has what was written before the question.
struct SpendDesk {
    store: Arc<Store>,
    asker: Asker,
}

impl Spend for SpendDesk {
    fn report<'a>(&'a self, query: &'a ReportQuery) -> Pending<'a, Result<Report, Unavailable>> {
        Box::pin(async {
            self.asker.settled().await;
            self.store.report(query).await.map_err(|error| unavailable(&error))
        })
    }

    fn logs<'a>(&'a self, query: &'a LogsQuery) -> Pending<'a, Result<Vec<Value>, Unavailable>> {
        Box::pin(async {
            self.asker.settled().await;
            self.store.logs(query).await.map_err(|error| unavailable(&error))
        })
    }
}

/// For a client: the operator's log says where the database is.
fn unavailable(error: &StoreError) -> Unavailable {
    let what = if error.is_away() { "away" } else { "not usable" };
    Unavailable(format!("the store is {what}; the proxy's own log says why"))
}
