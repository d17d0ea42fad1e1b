//! The bookkeeper's dealings with the store, and with the disk when the store takes nothing.

use std::{future::Future, io, path::Path, pin::Pin, time::Duration};

use tokio::time::timeout;

use super::{
    Before, Bookkeeper, Condition, Sink, SinkError,
    health::{add, set},
    unsettled::Given,
};
use crate::{
    boundary::ledger::entry::Entry,
    limits::{
        DISK_AGAIN_MS, SPILL_EVERY_MS, STORE_AGAIN_MS_MAX, STORE_AGAIN_MS_MIN, STORE_ENTRIES_MAX,
        STORE_EVERY_MS, STORE_MS_MAX, STORE_RING_PART,
    },
    net::clock,
};

/// What the store is working on.
pub(super) struct Writing {
    of: Origin,
    count: usize,
    pub(super) result: Pin<Box<dyn Future<Output = Result<(), SinkError>>>>,
}

pub(super) enum Origin {
    /// So many of the oldest batches.
    Rings(usize),
    /// Batches that went to a segment meanwhile.
    Spilled,
    /// The chunk of the oldest segment.
    Segment,
}

impl<S: Sink + 'static> Bookkeeper<S> {
    /// Gives the store its next work, if it has none. Rings and segments take turns: neither starves.
    pub(super) fn write(&mut self, say: &mut impl FnMut(&str)) {
        while self.writing.is_none() && (self.away_ms.is_none() || self.until_store.is_over()) {
            let has_segments = !self.spill.is_empty();
            let (of, given) = if self.is_due() && (self.segment_was_last || !has_segments) {
                self.segment_was_last = false;
                self.until_due.start(STORE_EVERY_MS);
                let given = self.unsettled.give(STORE_ENTRIES_MAX);
                (Origin::Rings(given.batches.len()), given)
            } else {
                self.segment_was_last = true;
                match self.spill.next(&mut unreadable(say)) {
                    Some(chunk) => {
                        let (count, before) = (chunk.len(), Before::Perhaps);
                        (Origin::Segment, Given { batches: vec![chunk], count, before })
                    }
                    None if !self.is_due() => return,
                    None => continue,
                }
            };
            self.start(of, given, say);
        }
    }

    /// Whether the rings' entries are to go to the store now: alone, a few are not worth a transaction.
    fn is_due(&self) -> bool {
        let is_due = self.until_due.is_over()
            || !self.waiting.is_empty()
            || self.unsettled.exceeds(STORE_RING_PART);
        is_due && !self.unsettled.is_empty()
    }

    pub(super) fn start(&mut self, of: Origin, given: Given, say: &mut impl FnMut(&str)) {
        let Given { batches, count, before } = given;
        if count == 0 {
            return self.settle(&of, say);
        }
        let sink = self.sink.clone();
        let result = Box::pin(async move {
            let limit = Duration::from_millis(STORE_MS_MAX);
            let entries: Vec<&Entry> = batches.iter().flat_map(|batch| batch.iter()).collect();
            timeout(limit, sink.record(&entries, before)).await.unwrap_or_else(|_elapsed| {
                let what = format!("it did not answer within {} s", STORE_MS_MAX / 1000);
                Err(SinkError { what })
            })
        });
        self.writing = Some(Writing { of, count, result });
    }

    pub(super) fn written(&mut self, result: Result<(), SinkError>, say: &mut impl FnMut(&str)) {
        let Some(Writing { of, count, .. }) = self.writing.take() else { return };
        let Err(error) = result else {
            add(&self.health.recorded, count as u64);
            if self.away_ms.take().is_some() {
                set(&self.health.store_away_since, 0);
                say("the store takes entries again; what waited in segments is recorded now");
            }
            return self.settle(&of, say);
        };
        let pause = self.away_ms.map_or(STORE_AGAIN_MS_MIN, |ms| (ms * 2).min(STORE_AGAIN_MS_MAX));
        if self.away_ms.replace(pause).is_none() {
            set(&self.health.store_away_since, clock::unix_micros().0);
            say(&format!(
                "the store takes no entries: {error}; they are kept in segment files beside the ledger until \
                 it does, which is tried again and again"
            ));
            if self.until_disk.is_over() {
                self.spill(say);
            }
        }
        self.until_store.start(pause);
    }

    /// What came from `of` is recorded.
    fn settle(&mut self, of: &Origin, say: &mut impl FnMut(&str)) {
        match of {
            Origin::Rings(count) => self.unsettled.settle(*count),
            Origin::Segment => self.spill.recorded(&mut undeletable(say)),
            Origin::Spilled => {}
        }
        self.settled(say);
    }

    /// After rings were settled, or segments were.
    pub(super) fn settled(&mut self, say: &mut impl FnMut(&str)) {
        self.unsettled.remove_ended(&mut undeletable(say));
        if !self.unsettled.is_pressing() && self.away_ms.is_none() {
            set(&self.health.disk_refuses_since, 0);
        }
        self.answer();
        self.count();
    }

    /// All that is unsettled goes to a segment, what the store is working on too: should it hang, that
    /// must not hold the ring; should it come through, it has it twice. Whether the disk took it.
    pub(super) fn spill(&mut self, say: &mut impl FnMut(&str)) -> bool {
        self.until_spill.start(SPILL_EVERY_MS);
        if self.unsettled.is_empty() {
            return true;
        }
        let count = self.unsettled.entries().count() as u64;
        if count > 0
            && let Err(error) = self.spill.append(self.unsettled.entries())
        {
            self.until_disk.start(DISK_AGAIN_MS);
            if matches!(self.health.report().condition, Condition::DiskRefuses { .. }) {
                return false; // and told
            }
            set(&self.health.disk_refuses_since, clock::unix_micros().0);
            say(&format!(
                "ENTRIES WILL BE LOST: the store takes none, and the disk takes no segment file: {error}; free \
                 space in the ledger's folder, or bring the store back"
            ));
            return false;
        }
        add(&self.health.spilled, count);
        set(&self.health.disk_refuses_since, 0);
        if let Some(writing) = &mut self.writing
            && matches!(writing.of, Origin::Rings(_))
        {
            writing.of = Origin::Spilled;
        }
        self.unsettled.settle_all();
        self.settled(say);
        true
    }
}

fn unreadable(say: &mut impl FnMut(&str)) -> impl FnMut(&Path, &io::Error) {
    move |path, error| {
        let path = path.display();
        say(&format!(
            "{path} cannot be read: {error}; what it holds is tried again at the next start"
        ));
    }
}

pub(super) fn undeletable(say: &mut impl FnMut(&str)) -> impl FnMut(&Path, &io::Error) {
    move |path, error| {
        let path = path.display();
        say(&format!("{path} is recorded, but cannot be deleted: {error}; delete it"));
    }
}
