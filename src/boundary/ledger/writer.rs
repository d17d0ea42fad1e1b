//! A core's end of its ledger: each request goes in when it goes upstream, and again when it has ended.
//!
//! No system call, no lock, no allocation: a few hundred bytes to memory and one store that makes them
//! count. An entry that has no room is counted, and never takes another's place. A request in flight is
//! rewritten by taking a second slot and giving the first back, so that at every instant one of them holds.
#![expect(unsafe_code, reason = "the file's blocks: see mapping.rs")]

use std::{
    cell::Cell,
    sync::{Arc, atomic::Ordering},
};

use super::{
    entry::Entry,
    mapping::{Counter, Mapping},
};

/// Slots that no request begins with: one that is under way needs a second for an instant.
const SLOTS_SPARED: usize = 1;

/// A request that is under way. Give it back with [`Writer::finish`]: one that is dropped instead keeps its
/// room to the process's end, and is recorded as interrupted then.
#[must_use = "give it back with finish"]
#[derive(Debug)]
pub struct Ticket {
    /// `None`: the table was full.
    slot: Cell<Option<u32>>,
}

/// The core's end: one thread at a time.
pub struct Writer {
    map: Arc<Mapping>,
    /// Positions written so far.
    written: Cell<u64>,
    /// As the reader said when we last looked.
    freed: Cell<u64>,
    lost: Cell<u64>,
    tickets: Cell<u64>,
    /// Of slots; never 0, never twice.
    ticket_number: Cell<u64>,
    /// A stack: what was given back last, and is still in the processor's cache, is taken first.
    free_slots: Box<[Cell<u32>]>,
    free_count: Cell<usize>,
}

impl Writer {
    /// Of a new file.
    pub(super) fn new(map: Arc<Mapping>) -> Self {
        let free_slots: Box<[Cell<u32>]> = (0..map.shape.slots).rev().map(Cell::new).collect();
        Self {
            map,
            written: Cell::new(0),
            freed: Cell::new(0),
            lost: Cell::new(0),
            tickets: Cell::new(0),
            ticket_number: Cell::new(0),
            free_count: Cell::new(free_slots.len()),
            free_slots,
        }
    }

    /// Whether one request more can be recorded, however those under way end.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.free_count.get() > SLOTS_SPARED && self.has_free_beyond(self.tickets.get())
    }

    /// A request goes upstream: should the process be killed from here on, it is found as interrupted.
    pub fn begin(&self, entry: &Entry) -> Ticket {
        self.set_tickets(self.tickets.get() + 1);
        Ticket { slot: Cell::new(self.take_slot(entry, SLOTS_SPARED)) }
    }

    /// More is known of it.
    pub fn update(&self, ticket: &Ticket, entry: &Entry) {
        let spared = if ticket.slot.get().is_some() { 0 } else { SLOTS_SPARED };
        if let Some(slot) = self.take_slot(entry, spared)
            && let Some(before) = ticket.slot.replace(Some(slot))
        {
            self.give_slot(before);
        }
    }

    /// The request has ended.
    pub fn finish(&self, ticket: Ticket, entry: &Entry) {
        self.record(entry, 0);
        if let Some(slot) = ticket.slot.get() {
            self.give_slot(slot);
        }
        self.set_tickets(self.tickets.get() - 1);
    }

    /// A request that never went upstream has ended. Takes no room from those that did.
    pub fn push(&self, entry: &Entry) {
        self.record(entry, self.tickets.get());
    }

    /// Entries that had no room.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.get()
    }

    fn record(&self, entry: &Entry, reserved: u64) {
        if !self.has_free_beyond(reserved) {
            self.lost.set(self.lost.get() + 1);
            self.map.set_counter(Counter::Lost, self.lost.get(), Ordering::Relaxed);
            return;
        }
        let position = self.written.get() + 1;
        self.write(self.map.shape.block_of(position), position, entry);
        self.written.set(position);
        // Behind the sequence number, so that a reader that sees it and not that one knows the block broken.
        self.map.set_counter(Counter::Written, position, Ordering::Release);
    }

    /// Whether the ring has more than `reserved` free places.
    fn has_free_beyond(&self, reserved: u64) -> bool {
        let free = || {
            let used = self.written.get().saturating_sub(self.freed.get());
            self.map.shape.capacity().saturating_sub(used)
        };
        if free() <= reserved {
            // Acquire: the reader is done with what it freed.
            let freed = self.map.counter(Counter::Freed, Ordering::Acquire);
            self.freed.set(freed.min(self.written.get()));
        }
        free() > reserved
    }

    fn take_slot(&self, entry: &Entry, spared: usize) -> Option<u32> {
        let left = self.free_count.get().checked_sub(1).filter(|left| *left >= spared)?;
        self.free_count.set(left);
        let slot = self.free_slots[left].get();
        self.ticket_number.set(self.ticket_number.get() + 1);
        self.write(slot as usize, self.ticket_number.get(), entry);
        Some(slot)
    }

    fn give_slot(&self, slot: u32) {
        self.map.set_sequence(slot as usize, 0);
        self.free_slots[self.free_count.get()].set(slot);
        self.free_count.set(self.free_count.get() + 1);
    }

    fn set_tickets(&self, tickets: u64) {
        self.tickets.set(tickets);
        self.map.set_counter(Counter::InFlight, tickets, Ordering::Relaxed);
    }

    fn write(&self, block: usize, sequence: u64, entry: &Entry) {
        let bytes = entry.encode(sequence);
        // SAFETY: we are the file's one writer (`Writer` is not `Sync`, nor `Clone`), and the block is free:
        // a slot off the stack, or a place of the ring that `has_free_beyond` saw freed.
        unsafe { self.map.write_rest(block, &bytes) };
        self.map.set_sequence(block, sequence);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.map.set_writer_gone();
    }
}
