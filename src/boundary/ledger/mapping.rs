//! A ledger file as memory: where things stand in it, and the few accesses that compilers cannot check.
//!
//! ```text
//!   0         4096                      4096 + 256 × slots              + 256 × entries
//!   | header   | in-flight table: slots  | ring: entries                 |
//!
//!   header   0  magic · layout · bytes per entry · slots · entries · check   written once
//!          128  written · lost · in flight                                   the core writes, alone
//!          256  freed · logged                                               the control plane, alone
//! ```
//!
//! Words are 64-bit little-endian. Blocks (slots, then ring) begin with their sequence number, 0 for none:
//! it is stored last, with release, when the other 248 bytes are there; who reads it with acquire may read
//! them. Position `p` of the ring, from 1, is at `(p - 1) mod entries`, and is written again only when
//! `freed`, which the reader alone advances, has passed it: so no byte is written and read at once.
#![expect(unsafe_code, reason = "memory that two threads share, and a file")]

use std::{
    fs::File,
    io,
    os::fd::AsRawFd as _,
    ptr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use memmap2::{MmapOptions, MmapRaw};

use super::entry::ENTRY_BYTES;
use crate::limits::{LEDGER_BLOCKS_MAX, LEDGER_ENTRIES, LEDGER_SLOTS};

/// A page, so that blocks do not share one with counters.
pub(super) const HEADER_BYTES: usize = 4096;
/// Of a ledger file.
const MAGIC: u64 = u64::from_le_bytes(*b"outcropL");
/// Of the layout above. Files of another are read as far as their entries can be told.
const LAYOUT: u64 = 1;
/// Magic, layout, bytes per entry, slots, entries; then their CRC-32.
const CHECKED_WORDS: usize = 5;
/// What begins a file, and never changes.
pub(super) const PREAMBLE_BYTES: usize = (CHECKED_WORDS + 1) * 8;

/// How much a ledger file holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shape {
    /// Requests under way.
    pub slots: u32,
    /// Entries that wait to be recorded; a power of two.
    pub entries: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self { slots: LEDGER_SLOTS, entries: LEDGER_ENTRIES }
    }
}

impl Shape {
    /// Whether files can have it.
    #[must_use]
    pub fn is_possible(self) -> bool {
        self.entries.is_power_of_two()
            && self.entries <= LEDGER_BLOCKS_MAX
            && self.slots <= LEDGER_BLOCKS_MAX
    }

    pub(super) fn capacity(self) -> u64 {
        u64::from(self.entries)
    }

    pub(super) fn file_bytes(self) -> usize {
        HEADER_BYTES + (self.slots as usize + self.entries as usize) * ENTRY_BYTES
    }

    /// Where the ring has position `position`, as a block of the file.
    pub(super) fn block_of(self, position: u64) -> usize {
        let at = position.wrapping_sub(1) & (self.capacity() - 1);
        self.slots as usize + usize::try_from(at).expect("below 2^32")
    }

    /// What a file of this shape begins with.
    pub(super) fn preamble(self) -> [u8; PREAMBLE_BYTES] {
        let mut bytes = [0; PREAMBLE_BYTES];
        let words =
            [MAGIC, LAYOUT, ENTRY_BYTES as u64, u64::from(self.slots), u64::from(self.entries)];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        let check = u64::from(crc32fast::hash(&bytes[..CHECKED_WORDS * 8]));
        bytes[CHECKED_WORDS * 8..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// The shape of a file that begins so; `None` if it is none of this layout.
    pub(super) fn of_preamble(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| u32::try_from(word_at(bytes, at * 8)?).ok();
        let shape = Self { slots: word(3)?, entries: word(4)? };
        let is_same = bytes.get(..PREAMBLE_BYTES) == Some(shape.preamble().as_slice());
        (is_same && shape.is_possible()).then_some(shape)
    }
}

/// The word at byte `at` of a file's bytes.
pub(super) fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..at + 8)?;
    Some(u64::from_le_bytes(word.try_into().expect("eight bytes")))
}

/// A counter of the header, by its place. Each has one writer.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(super) enum Counter {
    /// The last position written to the ring.
    Written = 128,
    /// Entries that had no room.
    Lost = 136,
    /// Tickets out.
    InFlight = 144,
    /// Up to here all is on disk elsewhere, and the ring's room may be used again.
    Freed = 256,
    /// Up to here all was shown to log and metrics.
    Logged = 264,
}

/// A ledger file that is in memory, and locked.
pub(super) struct Mapping {
    map: MmapRaw,
    pub(super) shape: Shape,
    /// Keeps the lock, for as long as either end lives.
    _lock: File,
    /// Whether the core's end was dropped.
    writer_is_gone: AtomicBool,
}

impl Mapping {
    /// Of a file that was [`prepare`]d.
    pub(super) fn new(file: File, shape: Shape) -> io::Result<Self> {
        // Populated: so the first lap does not stop for each page.
        let map = MmapOptions::new().len(shape.file_bytes()).populate().map_raw(&file)?;
        Ok(Self { map, shape, _lock: file, writer_is_gone: AtomicBool::new(false) })
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        assert!(at + 8 <= self.map.len() && at.is_multiple_of(8), "a word of the file");
        // SAFETY: in bounds and aligned, by the assertion and as a mapping begins at a page; it lives as
        // long as `self`. No word is accessed but through here while another thread may, save for the
        // sequence within a block that `block` copies, which its caller alone may then change.
        unsafe { AtomicU64::from_ptr(self.map.as_mut_ptr().add(at).cast()) }
    }

    pub(super) fn counter(&self, counter: Counter, order: Ordering) -> u64 {
        u64::from_le(self.word(counter as usize).load(order))
    }

    pub(super) fn set_counter(&self, counter: Counter, value: u64, order: Ordering) {
        self.word(counter as usize).store(value.to_le(), order);
    }

    /// The sequence number of a block: with it, the rest may be read.
    pub(super) fn sequence(&self, block: usize) -> u64 {
        u64::from_le(self.word(HEADER_BYTES + block * ENTRY_BYTES).load(Ordering::Acquire))
    }

    /// Publishes what the block holds, or with 0 takes it back.
    pub(super) fn set_sequence(&self, block: usize, sequence: u64) {
        let word = self.word(HEADER_BYTES + block * ENTRY_BYTES);
        word.store(sequence.to_le(), Ordering::Release);
    }

    fn place(&self, block: usize) -> *mut u8 {
        let at = HEADER_BYTES + block * ENTRY_BYTES;
        assert!(at + ENTRY_BYTES <= self.map.len(), "a block of the file");
        self.map.as_mut_ptr().wrapping_add(at)
    }

    /// Writes all of a block but its sequence number.
    ///
    /// # Safety
    /// Nobody else reads or writes the block: the caller is the file's writer, and the block is a free
    /// slot or an entry of the ring that was freed.
    pub(super) unsafe fn write_rest(&self, block: usize, bytes: &[u8; ENTRY_BYTES]) {
        let rest = &bytes[8..];
        // SAFETY: `place` gives `ENTRY_BYTES` within the mapping; `bytes` is not part of it; that nobody else
        // is there is the caller's promise.
        unsafe {
            ptr::copy_nonoverlapping(rest.as_ptr(), self.place(block).add(8), rest.len());
        }
    }

    /// All of a block.
    ///
    /// # Safety
    /// Nobody writes the block: its sequence number was seen to be that of an entry not yet freed, and
    /// the caller is who frees.
    pub(super) unsafe fn block(&self, block: usize) -> [u8; ENTRY_BYTES] {
        // SAFETY: `place` gives `ENTRY_BYTES` within the mapping, all initialized as a file's are; that nobody
        // writes them is the caller's promise.
        unsafe { ptr::read(self.place(block).cast()) }
    }

    /// The core's end is gone: nothing but counters changes any more.
    pub(super) fn set_writer_gone(&self) {
        self.writer_is_gone.store(true, Ordering::Release);
    }

    pub(super) fn writer_is_gone(&self) -> bool {
        self.writer_is_gone.load(Ordering::Acquire)
    }

    /// The whole file; `None` while it has a writer.
    pub(super) fn copy(&self) -> Option<Vec<u8>> {
        if !self.writer_is_gone() {
            return None;
        }
        let mut bytes = vec![0; self.map.len()];
        // SAFETY: as long as each other; the writer is gone, the counters are the reader's, who calls.
        unsafe { ptr::copy_nonoverlapping(self.map.as_ptr(), bytes.as_mut_ptr(), bytes.len()) };
        Some(bytes)
    }

    /// Forces what was written and is needed to disk; waits for it. Entries that were freed are not: they are on
    /// disk elsewhere, and a page that was forced stops the core when it writes there next.
    pub(super) fn sync(&self) -> io::Result<()> {
        let ring = HEADER_BYTES + self.shape.slots as usize * ENTRY_BYTES;
        self.map.flush_range(0, ring)?;
        let written = self.counter(Counter::Written, Ordering::Acquire);
        let freed = self.counter(Counter::Freed, Ordering::Relaxed).min(written);
        if written - freed >= self.shape.capacity() {
            return self.map.flush_range(ring, self.map.len() - ring);
        }
        let place = |position: u64| HEADER_BYTES + self.shape.block_of(position) * ENTRY_BYTES;
        let (from, to) = (place(freed + 1), place(written + 1));
        if from <= to {
            return self.map.flush_range(from, to - from);
        }
        self.map.flush_range(from, self.map.len() - from)?;
        self.map.flush_range(ring, to - ring)
    }
}

/// Gives a new file its room, its zeroes and its header, all on disk: a disk that is full shows here, and
/// not as a signal when a page is first touched. (A file system that copies on write may still run out.)
pub(super) fn prepare(file: &File, shape: Shape) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    static ZEROES: [u8; 64 * 1024] = [0; 64 * 1024];
    let length = shape.file_bytes();
    let end = libc::off_t::try_from(length).map_err(io::Error::other)?;
    // SAFETY: takes numbers alone; the descriptor is open.
    let code = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, end) };
    if code != 0 && code != libc::EOPNOTSUPP && code != libc::EINVAL {
        return Err(io::Error::from_raw_os_error(code));
    }
    let mut at = 0;
    while at < length {
        let step = ZEROES.len().min(length - at);
        file.write_all_at(&ZEROES[..step], at as u64)?;
        at += step;
    }
    file.write_all_at(&shape.preamble(), 0)?;
    file.sync_all()
}
