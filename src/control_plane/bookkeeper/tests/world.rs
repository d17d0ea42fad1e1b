//! A ledger, a store whose manners can be chosen, and a bookkeeper between them.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use crate::{
    boundary::ledger::{
        Shape, Writer,
        entry::{Entry, Outcome},
        open,
    },
    control_plane::bookkeeper::{Before, Bookkeeper, Report, Sink, SinkError, spill::Create},
    units::RequestId,
};

pub(super) const SHAPE: Shape = Shape { slots: 4, entries: 8 };
/// Rings are forced to disk so often.
const SYNC_MS: u64 = 1000;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Manners {
    Works,
    Fails,
    Hangs,
    /// Works, after so long.
    Slow(u64),
    /// Stores what it is given, and says that it failed.
    Lies,
    /// Stores half of what it is given, and fails.
    FailsMidway,
}

/// What is stored, by request id: the first holds.
pub(super) struct Store {
    pub(super) manners: Cell<Manners>,
    pub(super) rows: RefCell<HashMap<u128, Outcome>>,
    pub(super) calls: Cell<u32>,
    /// Entries that it knew already.
    pub(super) repeated: Cell<u32>,
}

impl Store {
    fn take(&self, entries: &[&Entry], before: Before) {
        let mut rows = self.rows.borrow_mut();
        for entry in entries {
            let mut is_known = true;
            rows.entry(entry.request_id.bits()).or_insert_with(|| {
                is_known = false;
                entry.outcome
            });
            assert!(!is_known || before == Before::Perhaps, "given before, and it was said never");
            self.repeated.set(self.repeated.get() + u32::from(is_known));
        }
    }
}

impl Sink for Rc<Store> {
    async fn record(&self, entries: &[&Entry], before: Before) -> Result<(), SinkError> {
        self.calls.set(self.calls.get() + 1);
        assert!(!entries.is_empty(), "nothing is no reason for a call");
        let failed = Err(SinkError { what: "connection refused".into() });
        match self.manners.get() {
            Manners::Works => self.take(entries, before),
            Manners::Fails => return failed,
            Manners::Hangs => std::future::pending().await,
            Manners::Slow(ms) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                self.take(entries, before);
            }
            Manners::Lies => {
                self.take(entries, before);
                return failed;
            }
            Manners::FailsMidway => {
                self.take(&entries[..entries.len().div_ceil(2)], before);
                return failed;
            }
        }
        Ok(())
    }
}

pub(super) struct World {
    pub(super) folder: PathBuf,
    pub(super) store: Rc<Store>,
    /// Ids, as log and metrics were shown them.
    pub(super) shown: RefCell<Vec<u128>>,
    pub(super) said: RefCell<Vec<String>>,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// From first to last, both included.
pub(super) type Ids = std::ops::RangeInclusive<u128>;

impl World {
    pub(super) fn new(name: &str) -> Self {
        let memory = PathBuf::from("/dev/shm");
        let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = base.join(format!("outcrop-bookkeeper-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let store = Rc::new(Store {
            manners: Cell::new(Manners::Works),
            rows: RefCell::default(),
            calls: Cell::new(0),
            repeated: Cell::new(0),
        });
        Self { folder, store, shown: RefCell::default(), said: RefCell::default() }
    }

    /// A process starts: one core, and the bookkeeper.
    pub(super) fn start(&self) -> (Writer, Bookkeeper<Rc<Store>>) {
        self.start_with(crate::control_plane::bookkeeper::spill::create_new)
    }

    pub(super) fn start_with(&self, create: Create) -> (Writer, Bookkeeper<Rc<Store>>) {
        let mut opened = open(&self.folder, 1, SHAPE).unwrap();
        let (writer, reader) = opened.rings.pop().unwrap();
        let readers = opened.leftovers.into_iter().chain([reader]).collect();
        let store = self.store.clone();
        let keeper = Bookkeeper::with_create(readers, &self.folder, store, SYNC_MS, create);
        (writer, keeper.unwrap())
    }

    /// The bookkeeper works for so long.
    pub(super) async fn work(&self, keeper: &mut Bookkeeper<Rc<Store>>, ms: u64) {
        let working = keeper.run(|entries| self.observe(entries), |line| self.say(line));
        tokio::select! {
            biased;
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
            () = working => unreachable!("it never ends by itself"),
        }
    }

    pub(super) fn observe(&self, entries: &[Entry]) {
        self.shown.borrow_mut().extend(entries.iter().map(|entry| entry.request_id.bits()));
    }

    pub(super) fn say(&self, line: &str) {
        self.said.borrow_mut().push(line.to_owned());
    }

    pub(super) fn has_said(&self, what: &str) -> usize {
        self.said.borrow().iter().filter(|line| line.contains(what)).count()
    }

    pub(super) fn manners(&self, manners: Manners) {
        self.store.manners.set(manners);
    }

    /// The ids in the store, in order.
    pub(super) fn rows(&self) -> Vec<u128> {
        let mut ids: Vec<u128> = self.store.rows.borrow().keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// Files whose names end so.
    pub(super) fn files(&self, end: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.to_str().unwrap().ends_with(end)).collect()
    }
}

pub(super) fn report(keeper: &Bookkeeper<Rc<Store>>) -> Report {
    keeper.health().report()
}

pub(super) fn entry(id: u128, outcome: Outcome) -> Entry {
    Entry { request_id: RequestId::from_bits(id), outcome, ..Entry::default() }
}

pub(super) fn push(writer: &Writer, ids: Ids) {
    ids.for_each(|id| writer.push(&entry(id, Outcome::Whole)));
}

/// Makes files that take a header, and nothing more.
pub(super) fn full_disk(_path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/full")
}
