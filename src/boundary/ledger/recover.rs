//! What the bytes of a ledger file hold, when nobody writes it any more: a pure function.
//!
//! After `kill -9` there are no gaps: each position was written before the next. After a power failure any
//! page may be older than any other, so each entry is judged by itself: by its checksum, which covers its
//! sequence number, and by whether it stands where that number belongs.

use std::collections::HashSet;

use super::{
    entry::{ENTRY_BYTES, Entry, Outcome},
    mapping::{Counter, HEADER_BYTES, Shape, word_at},
};

/// Above what any file reaches: keeps sums of positions from wrapping.
const POSITION_MAX: u64 = 1 << 62;

/// All of a file that was not recorded elsewhere.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    /// By position, ascending. Requests that were under way come last, as interrupted; their positions
    /// go on from the ring's, and are the same each time.
    pub(super) entries: Vec<(u64, Entry)>,
    /// What was shown to log and metrics.
    pub(super) logged: u64,
    /// Entries that were written, and are broken.
    pub(super) torn: u64,
    /// Entries that had no room.
    pub(super) lost: u64,
    /// Why the file is not one that we wrote.
    pub(super) damage: Option<&'static str>,
}

/// Of a file's bytes, what comes behind position `after`.
pub(super) fn recover(bytes: &[u8], after: u64) -> Recovered {
    let Some(shape) = Shape::of_preamble(bytes) else { return salvage(bytes) };
    let table_end = HEADER_BYTES + shape.slots as usize * ENTRY_BYTES;
    let table = bytes.get(HEADER_BYTES..table_end.min(bytes.len())).unwrap_or_default();
    let ring = bytes.get(table_end..shape.file_bytes().min(bytes.len())).unwrap_or_default();
    let counter = |counter: Counter| word_at(bytes, counter as usize).unwrap_or(0);

    let mut all: Vec<(u64, Entry)> = decode_all(ring)
        .filter(|(at, position, _)| shape.block_of(*position) == shape.slots as usize + at)
        .map(|(_, position, entry)| (position, entry))
        .collect();
    all.sort_unstable_by_key(|(position, _)| *position);
    let ended: HashSet<_> = all.iter().map(|(_, entry)| entry.request_id).collect();

    let top = all.last().map_or(0, |(position, _)| *position);
    // A counter that is more than a lap ahead of all entries is not believed.
    let believed = |position: u64| if position <= top + shape.capacity() { position } else { 0 };
    // What the newest entry of a lap stands on was freed, whatever an older header page says.
    let start =
        after.max(believed(counter(Counter::Freed))).max(top.saturating_sub(shape.capacity()));
    let end = top.max(believed(counter(Counter::Written))).max(start);
    all.retain(|(position, _)| *position > start);
    let mut torn = (end - start) - all.len() as u64;

    let (open, broken) = open_entries(table, &ended);
    torn += broken;
    all.extend((end + 1..).zip(open));
    let damage = (bytes.len() != shape.file_bytes()).then_some("its length is not what it says");
    let logged = counter(Counter::Logged);
    let logged = if logged <= end + table.len() as u64 { logged } else { start };
    Recovered { entries: all, logged, torn, lost: counter(Counter::Lost), damage }
}

/// Each block that is whole: its index, its number, its entry.
fn decode_all(blocks: &[u8]) -> impl Iterator<Item = (usize, u64, Entry)> {
    blocks.as_chunks::<ENTRY_BYTES>().0.iter().enumerate().filter_map(|(at, block)| {
        let is_written = word_at(block, 0) != Some(0);
        let (number, entry) = is_written.then(|| Entry::decode(block).ok()).flatten()?;
        (number <= POSITION_MAX).then_some((at, number, entry))
    })
}

/// The requests that were under way, the oldest first, and how many slots are broken. One that stands in two
/// slots was being rewritten: the later holds. One that `ended` was being cleared.
fn open_entries(table: &[u8], ended: &HashSet<crate::units::RequestId>) -> (Vec<Entry>, u64) {
    let taken = table.as_chunks::<ENTRY_BYTES>().0;
    let taken = taken.iter().filter(|block| word_at(*block, 0) != Some(0)).count();
    let mut open: Vec<(u64, Entry)> =
        decode_all(table).map(|(_, number, entry)| (number, entry)).collect();
    let broken = (taken - open.len()) as u64;
    open.sort_unstable_by_key(|(number, _)| *number);
    let mut seen = HashSet::new();
    let mut open: Vec<Entry> = open
        .into_iter()
        .rev()
        .map(|(_, entry)| entry)
        .filter(|entry| !ended.contains(&entry.request_id) && seen.insert(entry.request_id))
        .map(interrupted)
        .collect();
    open.reverse();
    (open, broken)
}

/// As it is recorded: with what was known by then. That is all, if the answer had been received whole, for it
/// is written down before the client can have seen the end.
fn interrupted(entry: Entry) -> Entry {
    Entry { outcome: Outcome::Interrupted, ..entry }
}

/// Of a file whose header is broken or of another layout: every block that is an entry. Which of them were
/// recorded is not known, so all are given, and all count as logged: most were.
fn salvage(bytes: &[u8]) -> Recovered {
    let blocks = bytes.get(HEADER_BYTES..).unwrap_or_default();
    let (open, mut ended): (Vec<_>, Vec<_>) = decode_all(blocks)
        .map(|(_, number, entry)| (number, entry))
        .partition(|(_, entry)| entry.outcome == Outcome::Open);
    ended.sort_unstable_by_key(|(number, _)| *number);
    let mut seen: HashSet<_> = ended.iter().map(|(_, entry)| entry.request_id).collect();
    let open = open.into_iter().map(|(_, entry)| interrupted(entry));
    let open: Vec<Entry> = open.filter(|entry| seen.insert(entry.request_id)).collect();
    let entries: Vec<(u64, Entry)> =
        (1..).zip(ended.into_iter().map(|(_, entry)| entry).chain(open)).collect();
    let logged = entries.len() as u64;
    let damage = Some("its header is not one of this version's");
    Recovered { entries, logged, damage, ..Recovered::default() }
}
