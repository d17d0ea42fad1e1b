//! The ring, its table and its folder, with shapes small enough to go round and to fill up.

use std::{fs, path::PathBuf};

use crate::{
    boundary::ledger::{
        Opened, Reader, Shape, Writer,
        entry::{Entry, Outcome},
        open,
    },
    units::RequestId,
};

const SMALL: Shape = Shape { slots: 4, entries: 8 };

/// A folder of this test's own, in memory where there is such a place; gone with the value.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let memory = PathBuf::from("/dev/shm");
        let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let path = base.join(format!("outcrop-ledger-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    pub(super) fn open(&self, shape: Shape) -> Opened {
        open(&self.0, 1, shape).unwrap()
    }

    /// The file names, in order.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn ended(id: u128) -> Entry {
    Entry { request_id: RequestId::from_bits(id), outcome: Outcome::Whole, ..Entry::default() }
}

pub(super) fn begun(id: u128) -> Entry {
    Entry { request_id: RequestId::from_bits(id), ..Entry::default() }
}

fn ring(opened: &mut Opened) -> (Writer, Reader) {
    opened.rings.pop().unwrap()
}

fn read_all(reader: &mut Reader) -> Vec<(u128, Outcome)> {
    let mut entries = Vec::new();
    while reader.read(3, &mut entries) {}
    entries.iter().map(|entry| (entry.request_id.bits(), entry.outcome)).collect()
}

#[test]
fn entries_are_read_in_order_round_and_round() {
    let folder = Folder::new("order");
    let (writer, mut reader) = ring(&mut folder.open(SMALL));
    for lap in 0..10_u128 {
        let ids: Vec<u128> = (0..5).map(|at| lap * 5 + at + 1).collect();
        for id in &ids {
            let ticket = writer.begin(&begun(*id));
            writer.update(&ticket, &begun(*id));
            writer.finish(ticket, &ended(*id));
        }
        assert_eq!(reader.depth(), 5);
        let expected: Vec<_> = ids.iter().map(|id| (*id, Outcome::Whole)).collect();
        assert_eq!(read_all(&mut reader), expected);
        reader.free(reader.position());
    }
    assert_eq!((reader.lost(), reader.torn(), reader.in_flight(), reader.depth()), (0, 0, 0, 0));
}

#[test]
fn what_is_admitted_can_be_recorded() {
    let folder = Folder::new("room");
    let (writer, mut reader) = ring(&mut folder.open(Shape { slots: 8, ..SMALL }));
    let mut tickets: Vec<_> = (0..6).map(|id| writer.begin(&begun(id))).collect();
    assert!(writer.has_room());
    (10..14).for_each(|id| writer.push(&ended(id)));
    assert!(!writer.has_room(), "six under way, two pushed");
    assert_eq!((writer.lost(), reader.lost(), reader.in_flight()), (2, 2, 6));
    (0..6).rev().for_each(|id| writer.finish(tickets.pop().unwrap(), &ended(id)));
    assert_eq!((reader.lost(), reader.depth()), (2, 8));
    assert!(!writer.has_room());
    writer.push(&ended(20));
    assert_eq!(reader.lost(), 3);
    let read: Vec<u128> = read_all(&mut reader).into_iter().map(|(id, _)| id).collect();
    assert_eq!(read, [10, 11, 5, 4, 3, 2, 1, 0]);
    assert!(!writer.has_room(), "read is not freed");
    reader.free(1);
    assert!(writer.has_room());
    writer.push(&ended(21));
    assert_eq!(read_all(&mut reader), [(21, Outcome::Whole)]);
}

#[test]
fn what_was_under_way_is_found_interrupted() {
    let folder = Folder::new("open");
    let mut opened = folder.open(SMALL);
    let (writer, mut reader) = ring(&mut opened);
    (1..=3).for_each(|id| writer.push(&ended(id)));
    let two = [4, 5].map(|id| writer.begin(&begun(id)));
    writer.update(&two[0], &Entry { attempts: 2, ..begun(4) });
    let mut first = Vec::new();
    assert!(reader.read(1, &mut first));
    reader.free(reader.position());
    reader.mark_logged(2);
    // The process is gone, and with it its locks; the file is as it was.
    drop((writer, reader, two));

    let mut opened = folder.open(SMALL);
    assert_eq!(folder.names(), ["core-0.ring", "core-1.ring"]);
    let mut left = opened.leftovers.pop().unwrap();
    let mut entries = Vec::new();
    assert!(left.read(2, &mut entries));
    assert_eq!((left.position(), left.logged()), (2, 2), "what was shown comes alone");
    assert!(left.read(1, &mut entries));
    assert_eq!((left.position(), left.logged()), (3, 2));
    assert!(!left.read(9, &mut entries));
    let found: Vec<_> =
        entries.iter().map(|entry| (entry.request_id.bits(), entry.outcome)).collect();
    let (whole, interrupted) = (Outcome::Whole, Outcome::Interrupted);
    assert_eq!(found, [(2, whole), (3, whole), (5, interrupted), (4, interrupted)]);
    assert_eq!(entries[3].attempts, 2, "as it was updated");
    left.mark_logged(4);
    drop((left, opened));

    // Killed again before all was recorded.
    let mut opened = folder.open(SMALL);
    let mut left = opened.leftovers.remove(0);
    assert_eq!((read_all(&mut left), left.logged()), (found, 4));
    left.remove().unwrap();
    assert_eq!(opened.leftovers.len(), 1, "the second process's own file, empty");
    opened.leftovers.into_iter().for_each(|empty| empty.remove().unwrap());
    assert_eq!(folder.names(), ["core-2.ring"]);
}

#[test]
fn the_end_of_the_writer_ends_the_file() {
    let folder = Folder::new("end");
    let (writer, mut reader) = ring(&mut folder.open(SMALL));
    writer.push(&ended(1));
    let ticket = writer.begin(&begun(2));
    assert_eq!(read_all(&mut reader), [(1, Outcome::Whole)]);
    assert!(!reader.is_at_end());
    drop((ticket, writer));
    assert_eq!(read_all(&mut reader), [(2, Outcome::Interrupted)]);
    assert!(reader.is_at_end());
    reader.free(reader.position());
    reader.remove().unwrap();
    assert_eq!(folder.names(), [""; 0]);
}
