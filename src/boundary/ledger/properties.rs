//! What must hold for any bytes that somebody left in a ledger file.
//!
//! One body for the fuzz target and for the tests.

use super::{
    entry::{ENTRY_BYTES, Entry},
    mapping::{HEADER_BYTES, Shape},
    recover::recover,
};

/// Small, so that most inputs have most of a file.
const SHAPE: Shape = Shape { slots: 2, entries: 4 };
/// Of which the first so many bytes of an input are read as.
const COUNTER_WORDS: usize = 5;

/// Raw; then as the counters and blocks of a file whose header and checksums are right.
pub fn fuzz_ledger_file(data: &[u8]) {
    check(data);
    check(&repaired(data));
}

/// A file of [`SHAPE`] with what `data` says: five counters of two bytes each, or eight if the first byte
/// is odd; then blocks, each a sequence number of one byte and what else there is.
fn repaired(data: &[u8]) -> Vec<u8> {
    let mut file = vec![0; SHAPE.file_bytes()];
    let preamble = SHAPE.preamble();
    file[..preamble.len()].copy_from_slice(&preamble);
    let (first, mut rest) = data.split_first().unwrap_or((&0, &[]));
    let mut take = |count: usize| {
        let taken;
        (taken, rest) = rest.split_at(count.min(rest.len()));
        taken
    };
    let width = if first % 2 == 1 { 8 } else { 2 };
    for at in [128, 136, 144, 256, 264].into_iter().take(COUNTER_WORDS) {
        let counter = take(width);
        file[at..at + counter.len()].copy_from_slice(counter);
    }
    for block in file[HEADER_BYTES..].chunks_exact_mut(ENTRY_BYTES) {
        let said = take(24);
        let Some((sequence, said)) = said.split_first() else { break };
        let entry = Entry { attempts: *sequence, ..Entry::default() };
        let mut bytes = entry.encode(u64::from(*sequence));
        // What follows the sequence number: the request's id, and AWS's for it.
        bytes[8..8 + said.len()].copy_from_slice(said);
        let crc = crc32fast::hash(&bytes[..ENTRY_BYTES - 4]);
        bytes[ENTRY_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        block.copy_from_slice(&bytes);
    }
    file
}

/// Nothing is invented, nothing comes twice, and positions only rise.
fn check(file: &[u8]) {
    let found = recover(file, 0);
    let blocks = file.len().saturating_sub(HEADER_BYTES) / ENTRY_BYTES;
    assert!(found.entries.len() <= blocks, "{} of {blocks}", found.entries.len());
    assert!(found.entries.is_sorted_by(|(a, _), (b, _)| a < b), "positions only rise");
    let again = recover(file, 0);
    assert_eq!((&again.entries, again.torn), (&found.entries, found.torn), "the same each time");
    let written: Vec<Entry> = file
        .get(HEADER_BYTES..)
        .unwrap_or_default()
        .chunks_exact(ENTRY_BYTES)
        .filter_map(|block| Entry::decode(block.try_into().expect("a block")).ok())
        .map(|(_, entry)| entry)
        .collect();
    for (_, entry) in &found.entries {
        let is_there = written.iter().any(|it| it.request_id == entry.request_id);
        assert!(is_there, "{:?} was never written", entry.request_id);
    }
    // Read in two parts, the second by a reader that knows how far it has come. What comes last may be
    // requests that were under way, whose positions begin behind the ring's end.
    let Some((middle, _)) = found.entries.get(found.entries.len() / 2) else { return };
    if recover(file, *middle).damage.is_none() {
        let rest = recover(file, *middle).entries;
        let first = found.entries.iter().filter(|(position, _)| position <= middle).count();
        assert!(rest.len() >= found.entries.len() - first, "none is lost between the parts");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_file_is_read_without_panic(data in prop::collection::vec(any::<u8>(), 0..9000)) {
            fuzz_ledger_file(&data);
        }

        #[test]
        fn small_numbers_meet(data in prop::collection::vec(0_u8..12, 0..200)) {
            fuzz_ledger_file(&data);
        }
    }

    #[test]
    fn a_repaired_file_holds_entries() {
        let data: Vec<u8> = (0..150).map(|at| if at < 11 { 0 } else { at / 24 + 1 }).collect();
        let found = recover(&repaired(&data), 0);
        assert!(found.entries.len() > 1 && found.damage.is_none(), "{found:?}");
    }
}
