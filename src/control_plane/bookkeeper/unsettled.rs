//! What was read from the rings and is not yet on disk elsewhere, the oldest first.
//!
//! A ring's room is given back in order, so batches are settled from the front only.

use std::{collections::VecDeque, io, path::Path, rc::Rc};

use super::Before;
use crate::{
    boundary::ledger::{Reader, Syncer, entry::Entry},
    limits::{BATCHES_SPARED_MAX, LEDGER_READ_MAX, SPILL_RING_PART},
};

/// What one look at one ring gave.
struct Batch {
    source: usize,
    /// The ring's position of its last entry.
    position: u64,
    /// Those that the store is to have: what AWS may have seen.
    entries: Rc<Vec<Entry>>,
    before: Before,
    number: u64,
}

/// What goes to the store.
pub(super) struct Given {
    /// Whose entries they are.
    pub(super) batches: Vec<Rc<Vec<Entry>>>,
    /// Entries of all.
    pub(super) count: usize,
    pub(super) before: Before,
}

/// The rings, and what was read from them.
pub(super) struct Unsettled {
    /// `None`: at its end, and removed.
    sources: Vec<Option<Reader>>,
    batches: VecDeque<Batch>,
    /// Of the last batch.
    number: u64,
    /// Room for batches to come.
    spares: Vec<Vec<Entry>>,
    /// Counts of files that were removed.
    lost_before: u64,
    torn_before: u64,
}

impl Unsettled {
    pub(super) fn new(readers: Vec<Reader>) -> Self {
        Self {
            sources: readers.into_iter().map(Some).collect(),
            batches: VecDeque::new(),
            number: 0,
            spares: Vec::new(),
            lost_before: 0,
            torn_before: 0,
        }
    }

    /// Further files, which others have left.
    pub(super) fn add(&mut self, readers: Vec<Reader>) {
        self.sources.extend(readers.into_iter().map(Some));
    }

    fn readers(&self) -> impl Iterator<Item = &Reader> {
        self.sources.iter().flatten()
    }

    /// Reads what there is, and shows what was not shown before a restart. At most what the rings held
    /// when it began, so that cores that write on do not keep us here.
    pub(super) fn read(&mut self, observe: &mut dyn FnMut(&[Entry])) {
        for (source, reader) in self.sources.iter_mut().enumerate() {
            let Some(reader) = reader else { continue };
            let mut room = reader.capacity().max(reader.depth());
            loop {
                let mut entries = self.spares.pop().unwrap_or_default();
                let before = reader.position();
                let has_more = reader.read(LEDGER_READ_MAX, &mut entries);
                let position = reader.position();
                if position == before {
                    self.spares.push(entries);
                    break;
                }
                if position > reader.logged() {
                    observe(&entries);
                    reader.mark_logged(position);
                }
                room = room.saturating_sub(entries.len() as u64);
                entries.retain(Entry::is_stored);
                self.number += 1;
                let before = if reader.is_left() { Before::Perhaps } else { Before::Never };
                let (entries, number) = (Rc::new(entries), self.number);
                self.batches.push_back(Batch { source, position, entries, before, number });
                if !has_more || room == 0 {
                    break;
                }
            }
        }
    }

    /// Of the last batch that was read; 0 before the first.
    pub(super) fn last_number(&self) -> u64 {
        self.number
    }

    /// Whether all up to batch `number` is settled.
    pub(super) fn is_settled(&self, number: u64) -> bool {
        self.batches.front().is_none_or(|batch| batch.number > number)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// All entries, the oldest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.batches.iter().flat_map(|batch| batch.entries.iter())
    }

    /// The oldest batches, up to `max` entries but at least one batch, to be given to the store: from now on it
    /// may know them. Such as it may know already, and such as it cannot, are not given together.
    pub(super) fn give(&mut self, max: usize) -> Given {
        let mut given = Given { batches: Vec::new(), count: 0, before: Before::Perhaps };
        for batch in &mut self.batches {
            let is_first = given.batches.is_empty();
            let fits = batch.before == given.before && given.count + batch.entries.len() <= max;
            if !is_first && !fits {
                break;
            }
            given.before = batch.before;
            given.count += batch.entries.len();
            given.batches.push(batch.entries.clone());
        }
        self.batches
            .iter_mut()
            .take(given.batches.len())
            .for_each(|batch| batch.before = Before::Perhaps);
        given
    }

    /// The `count` oldest batches are on disk elsewhere: their rings have room again.
    pub(super) fn settle(&mut self, count: usize) {
        for batch in self.batches.drain(..count) {
            if let Some(reader) = &mut self.sources[batch.source] {
                reader.free(batch.position);
            }
            // Used again: memory that is given back and taken anew costs as much as reading the entries.
            if self.spares.len() < BATCHES_SPARED_MAX
                && let Ok(mut spare) = Rc::try_unwrap(batch.entries)
            {
                spare.clear();
                self.spares.push(spare);
            }
        }
    }

    pub(super) fn settle_all(&mut self) {
        self.settle(self.batches.len());
    }

    /// Deletes the files that nobody writes and that are settled to their end. `tell` learns of one that
    /// cannot be deleted: it is read again at the next start, which changes nothing.
    pub(super) fn remove_ended(&mut self, tell: &mut dyn FnMut(&Path, &io::Error)) {
        for (source, slot) in self.sources.iter_mut().enumerate() {
            let waits = || self.batches.iter().any(|batch| batch.source == source);
            let Some(reader) = slot.take_if(|reader| reader.is_at_end() && !waits()) else {
                continue;
            };
            self.lost_before += reader.lost();
            self.torn_before += reader.torn();
            let path = reader.path().to_owned();
            if let Err(error) = reader.remove() {
                tell(&path, &error);
            }
        }
    }

    /// Whether so much was read from a ring and not settled that it could fill up.
    pub(super) fn is_pressing(&self) -> bool {
        self.exceeds(SPILL_RING_PART)
    }

    /// Whether more than a `part`-th of a ring that is written was read and not settled.
    pub(super) fn exceeds(&self, part: u64) -> bool {
        let mut written = self.readers().filter(|reader| reader.capacity() > 0);
        written.any(|reader| reader.unfreed() > (reader.capacity() / part).max(1))
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost_before + self.readers().map(Reader::lost).sum::<u64>()
    }

    pub(super) fn torn(&self) -> u64 {
        self.torn_before + self.readers().map(Reader::torn).sum::<u64>()
    }

    pub(super) fn depth(&self) -> u64 {
        self.readers().map(Reader::depth).sum()
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.readers().map(Reader::in_flight).sum()
    }

    pub(super) fn syncers(&self) -> Vec<Syncer> {
        self.readers().filter_map(Reader::syncer).collect()
    }
}
