//! Empties the ledger: shows each entry to log and metrics, and sees that the store has it.
//!
//! ```text
//!   rings ──▶ observer (log, metrics)
//!     └─────▶ unsettled batches ──▶ store                        while it takes them
//!                     └──▶ segment files ──▶ store, later        when it does not
//! ```
//!
//! A ring's room is given back only when its entries are on disk elsewhere: recorded, or in a segment that
//! was synced. The store may be given an entry twice (a reply that was lost, a restart): it knows it by
//! its request id, and the first to come holds. Requests that were under way when a process was killed
//! come after all that had ended.
//!
//! A store that fails or hangs is left alone for a while, longer each time; nothing here waits for it.

mod ask;
mod health;
mod recording;
mod segment;
mod sink;
mod spill;
#[cfg(test)]
mod tests;
mod unsettled;

use std::{future, io, path::Path, rc::Rc, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Interval, MissedTickBehavior, interval, timeout},
};

pub use ask::Asker;
pub use health::{Condition, Health, Report};
pub use sink::{Before, Sink, SinkError};

use self::{
    ask::{Ask, Wish},
    health::{add, set},
    recording::{Origin, Writing, undeletable},
    spill::{Create, Spill, create_new},
    unsettled::Unsettled,
};
use crate::{
    boundary::ledger::{Reader, Syncer, entry::Entry},
    limits::{ADOPT_EVERY_MS, LEDGER_TICK_MS, LOSSES_EVERY_MS, STORE_ENTRIES_MAX},
};

/// Counts ticks down.
#[derive(Default)]
struct Countdown(u64);

impl Countdown {
    fn start(&mut self, ms: u64) {
        self.0 = ms.div_ceil(LEDGER_TICK_MS);
    }

    fn tick(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }

    fn is_over(&self) -> bool {
        self.0 == 0
    }
}

/// What came of [`Bookkeeper::finish`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Finished {
    /// The store has everything.
    Recorded,
    /// The rest is in segments, for the next start.
    Spilled,
    /// Neither store nor disk would have it: it is in the ledger's files, for the next start.
    LeftInRings,
}

/// The one who empties the ledger.
pub struct Bookkeeper<S> {
    sink: Rc<S>,
    unsettled: Unsettled,
    spill: Spill,
    writing: Option<Writing>,
    /// Whether the last turn at the store was a segment's.
    segment_was_last: bool,
    /// How long the store is left alone next time; `None`: it is there.
    away_ms: Option<u64>,
    until_store: Countdown,
    /// Until the rings' entries go to the store, however few they are.
    until_due: Countdown,
    until_spill: Countdown,
    until_disk: Countdown,
    until_losses_told: Countdown,
    losses_told: u64,
    sync_ms: u64,
    until_sync: Countdown,
    syncing: Option<JoinHandle<io::Result<()>>>,
    /// None: what others leave while we live waits for the next start.
    finder: Option<Finder>,
    until_adoption: Countdown,
    health: Arc<Health>,
    asker: Asker,
    asks: mpsc::Receiver<Ask>,
    /// Who waits for a batch to be settled.
    waiting: Vec<(u64, oneshot::Sender<()>)>,
}

/// Finds rings that others have left, and knows by then what their entries refer to; it says what is wrong
/// with others.
pub type Finder = Box<dyn FnMut(&mut dyn FnMut(&str)) -> Vec<Reader>>;

enum Event {
    Written(Result<(), SinkError>),
    Asked(Ask),
    Synced(io::Result<()>),
    Tick,
}

impl<S: Sink + 'static> Bookkeeper<S> {
    /// Of the rings of this process and of what others left, which are read first if they come first.
    /// `folder` holds the segments, `sync_ms` is how often the rings are forced to disk.
    ///
    /// # Errors
    /// `folder` cannot be read.
    pub fn new(readers: Vec<Reader>, folder: &Path, sink: S, sync_ms: u64) -> io::Result<Self> {
        Self::with_create(readers, folder, sink, sync_ms, create_new)
    }

    fn with_create(
        readers: Vec<Reader>,
        folder: &Path,
        sink: S,
        sync_ms: u64,
        create: Create,
    ) -> io::Result<Self> {
        let (asker, asks) = ask::channel();
        Ok(Self {
            sink: Rc::new(sink),
            unsettled: Unsettled::new(readers),
            spill: Spill::open(folder.to_owned(), create)?,
            writing: None,
            segment_was_last: false,
            away_ms: None,
            until_store: Countdown::default(),
            until_due: Countdown::default(),
            until_spill: Countdown::default(),
            until_disk: Countdown::default(),
            until_losses_told: Countdown::default(),
            losses_told: 0,
            sync_ms,
            until_sync: Countdown::default(),
            syncing: None,
            finder: None,
            until_adoption: Countdown::default(),
            health: Arc::default(),
            asker,
            asks,
            waiting: Vec::new(),
        })
    }

    /// As it is, and takes up what others leave while we live.
    #[must_use]
    pub fn with_finder(self, finder: Finder) -> Self {
        let mut until_adoption = Countdown::default();
        until_adoption.start(ADOPT_EVERY_MS);
        Self { finder: Some(finder), until_adoption, ..self }
    }

    /// The numbers, for metrics and health pages.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        self.health.clone()
    }

    /// To ask with.
    #[must_use]
    pub fn asker(&self) -> Asker {
        self.asker.clone()
    }

    /// Works until it is dropped, which may happen at any time: nothing is lost by it. `observe` is shown
    /// every entry once, in the order in which its core wrote it; `say` is told what the operator must know.
    pub async fn run(&mut self, mut observe: impl FnMut(&[Entry]), mut say: impl FnMut(&str)) {
        let mut ticks = interval(Duration::from_millis(LEDGER_TICK_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            match self.event(&mut ticks).await {
                Event::Tick => self.tick(&mut observe, &mut say),
                Event::Written(result) => self.written(result, &mut say),
                Event::Synced(result) => self.synced(result, &mut say),
                Event::Asked(ask) => self.asked(ask, &mut observe),
            }
            self.write(&mut say);
        }
    }

    async fn event(&mut self, ticks: &mut Interval) -> Event {
        tokio::select! {
            biased;
            ask = self.asks.recv() => Event::Asked(ask.expect("we hold a sender ourselves")),
            result = finished(&mut self.writing) => Event::Written(result),
            result = joined(&mut self.syncing) => Event::Synced(result),
            _ = ticks.tick() => Event::Tick,
        }
    }

    fn tick(&mut self, observe: &mut impl FnMut(&[Entry]), say: &mut impl FnMut(&str)) {
        // Asked before more is read: a store that works has had a tick for what was read before.
        let is_pressing = self.unsettled.is_pressing();
        self.unsettled.read(observe);
        self.unsettled.remove_ended(&mut undeletable(say));
        let countdowns = [
            &mut self.until_store,
            &mut self.until_due,
            &mut self.until_spill,
            &mut self.until_disk,
            &mut self.until_losses_told,
            &mut self.until_sync,
            &mut self.until_adoption,
        ];
        countdowns.into_iter().for_each(Countdown::tick);
        let is_due = self.away_ms.is_some() && self.until_spill.is_over();
        if (is_due || is_pressing) && self.until_disk.is_over() {
            self.spill(say);
        }
        self.adopt(say);
        self.tell_losses(say);
        self.sync();
        self.count();
    }

    /// What processes have left that have ended since we began.
    fn adopt(&mut self, say: &mut impl FnMut(&str)) {
        let Some(finder) = self.finder.as_mut().filter(|_| self.until_adoption.is_over()) else {
            return;
        };
        self.until_adoption.start(ADOPT_EVERY_MS);
        self.unsettled.add(finder(say));
        self.spill.look_again();
    }

    fn asked(&mut self, Ask { wish, answer }: Ask, observe: &mut impl FnMut(&[Entry])) {
        self.unsettled.read(observe);
        match wish {
            // Where neither store nor disk takes anything, what can be told is what is there.
            Wish::Settled if is_hopeless(&self.health) => drop(answer.send(())),
            Wish::Shown => drop(answer.send(())),
            Wish::Settled => self.waiting.push((self.unsettled.last_number(), answer)),
        }
        self.answer();
    }

    /// Tells those who wait for what is settled by now.
    fn answer(&mut self) {
        let unsettled = &self.unsettled;
        for (_, answer) in self.waiting.extract_if(.., |(number, _)| unsettled.is_settled(*number))
        {
            let _ = answer.send(());
        }
        self.waiting.retain(|(_, answer)| !answer.is_closed());
    }

    fn tell_losses(&mut self, say: &mut impl FnMut(&str)) {
        let lost = self.unsettled.lost();
        if lost > self.losses_told && self.until_losses_told.is_over() {
            let more = lost - self.losses_told;
            say(&format!("{more} requests were served without an account: the ledger had no room"));
            self.losses_told = lost;
            self.until_losses_told.start(LOSSES_EVERY_MS);
        }
    }

    /// One at a time, on a thread of its own: a disk may take seconds.
    fn sync(&mut self) {
        if self.syncing.is_none() && self.until_sync.is_over() {
            self.until_sync.start(self.sync_ms.max(1));
            let syncers = self.unsettled.syncers();
            self.syncing = Some(tokio::task::spawn_blocking(move || {
                syncers.iter().try_for_each(Syncer::sync)
            }));
        }
    }

    fn synced(&mut self, result: io::Result<()>, say: &mut impl FnMut(&str)) {
        self.syncing = None;
        if let Err(error) = result {
            if self.health.report().syncs_failed == 0 {
                say(&format!(
                    "the ledger cannot be forced to disk: {error}; a power failure may take entries"
                ));
            }
            add(&self.health.syncs_failed, 1);
        }
    }

    fn count(&self) {
        let health = &self.health;
        set(&health.lost, self.unsettled.lost());
        set(&health.torn, self.unsettled.torn() + self.spill.torn);
        set(&health.depth, self.unsettled.depth());
        set(&health.in_flight, self.unsettled.in_flight());
        set(&health.spill_bytes, self.spill.bytes());
    }

    /// When the cores have ended: all that they wrote goes to the store, else to a segment, within
    /// `deadline` and the time that one sync takes. Segments of before wait for the next start.
    pub async fn finish(
        mut self,
        deadline: Duration,
        mut observe: impl FnMut(&[Entry]),
        mut say: impl FnMut(&str),
    ) -> Finished {
        self.unsettled.read(&mut observe);
        // A store that was away has this one chance more.
        let recorded = timeout(deadline, self.record_rings(&mut observe, &mut say)).await;
        let spilled = matches!(recorded, Ok(true)) || self.spill(&mut say);
        self.unsettled.remove_ended(&mut undeletable(&mut say));
        self.tell_losses(&mut say);
        if let Some(syncing) = self.syncing.take() {
            let _ = syncing.await;
        }
        let _ = self.unsettled.syncers().iter().try_for_each(Syncer::sync);
        match (spilled, self.spill.is_empty()) {
            (true, true) => Finished::Recorded,
            (true, false) => Finished::Spilled,
            (false, _) => Finished::LeftInRings,
        }
    }

    /// Whether the store took all.
    async fn record_rings(
        &mut self,
        observe: &mut impl FnMut(&[Entry]),
        say: &mut impl FnMut(&str),
    ) -> bool {
        loop {
            if self.writing.is_none() {
                self.unsettled.read(observe);
                if self.unsettled.is_empty() {
                    self.settled(say);
                    return true;
                }
                let given = self.unsettled.give(STORE_ENTRIES_MAX);
                self.start(Origin::Rings(given.batches.len()), given, say);
                continue;
            }
            let result = finished(&mut self.writing).await;
            let has_failed = result.is_err();
            self.written(result, say);
            if has_failed {
                return false;
            }
        }
    }
}

fn is_hopeless(health: &Health) -> bool {
    matches!(health.report().condition, Condition::DiskRefuses { .. })
}

/// Never, while nothing is being written.
async fn finished(writing: &mut Option<Writing>) -> Result<(), SinkError> {
    match writing {
        Some(writing) => writing.result.as_mut().await,
        None => future::pending().await,
    }
}

/// Never, while nothing is being synced.
async fn joined(syncing: &mut Option<JoinHandle<io::Result<()>>>) -> io::Result<()> {
    match syncing {
        Some(syncing) => syncing.await.unwrap_or_else(|error| Err(io::Error::other(error))),
        None => future::pending().await,
    }
}
