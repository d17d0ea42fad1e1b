//! Any history of a ring, with deaths and broken bytes in it, against a model that keeps lists.

use std::{collections::VecDeque, fs};

use proptest::prelude::*;

use super::ring::{Folder, begun, ended};
use crate::boundary::ledger::{
    Opened, Reader, Shape, Ticket, Writer,
    entry::{ENTRY_BYTES, Entry, Outcome},
    mapping::HEADER_BYTES,
    open as open_folder,
};

const SHAPE: Shape = Shape { slots: 3, entries: 4 };
const BLOCKS: usize = 7;

#[derive(Clone, Debug)]
enum Step {
    Begin,
    Update(usize),
    Finish(usize),
    Push,
    Read(usize),
    Free,
    /// The process dies; with a byte of a block changed, perhaps.
    Die(Option<(usize, u8)>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Begin),
        2 => (0_usize..5).prop_map(Step::Update),
        4 => (0_usize..5).prop_map(Step::Finish),
        2 => Just(Step::Push),
        3 => (1_usize..5).prop_map(Step::Read),
        2 => Just(Step::Free),
        1 => prop::option::of((0..BLOCKS * ENTRY_BYTES, 1_u8..)).prop_map(Step::Die),
    ]
}

/// What should be, kept naively.
#[derive(Default)]
struct Model {
    /// Written and not freed: position and id.
    ring: VecDeque<(u64, u128)>,
    written: u64,
    read: u64,
    lost: u64,
    /// Under way: id, and whether it has a slot.
    open: Vec<(u128, bool)>,
}

impl Model {
    fn record(&mut self, id: u128, reserved: usize) {
        if self.ring.len() + reserved >= SHAPE.entries as usize {
            self.lost += 1;
        } else {
            self.written += 1;
            self.ring.push_back((self.written, id));
        }
    }

    /// One is spared, so that a request that has one can always take its next.
    fn has_free_slot(&self) -> bool {
        self.open.iter().filter(|(_, has_slot)| *has_slot).count() + 1 < SHAPE.slots as usize
    }
}

struct Run {
    folder: Folder,
    writer: Writer,
    reader: Reader,
    tickets: Vec<Ticket>,
    model: Model,
    next_id: u128,
}

impl Run {
    fn start(folder: Folder) -> Self {
        let (writer, reader) = take(&mut folder.open(SHAPE));
        let model = Model::default();
        Self { folder, writer, reader, tickets: Vec::new(), model, next_id: 1 }
    }

    fn id(&mut self) -> u128 {
        self.next_id += 1;
        self.next_id
    }

    fn step(&mut self, step: &Step) {
        let under_way = self.tickets.len();
        let room = self.model.ring.len() + under_way < SHAPE.entries as usize;
        assert_eq!(self.writer.has_room(), room && self.model.has_free_slot());
        match step {
            Step::Begin => {
                let id = self.id();
                self.tickets.push(self.writer.begin(&begun(id)));
                self.model.open.push((id, self.model.has_free_slot()));
            }
            Step::Update(at) if *at < under_way => {
                let can = self.model.has_free_slot();
                let (id, has_slot) = &mut self.model.open[*at];
                self.writer.update(&self.tickets[*at], &begun(*id));
                *has_slot |= can;
            }
            Step::Finish(at) if *at < under_way => {
                let (id, _) = self.model.open.remove(*at);
                self.writer.finish(self.tickets.remove(*at), &ended(id));
                self.model.record(id, 0);
            }
            Step::Push => {
                let id = self.id();
                self.writer.push(&ended(id));
                self.model.record(id, under_way);
            }
            Step::Read(max) => {
                let mut entries = Vec::new();
                self.reader.read(*max, &mut entries);
                let unread = self.model.ring.iter().filter(|(at, _)| *at > self.model.read);
                let expected: Vec<u128> = unread.take(*max).map(|(_, id)| *id).collect();
                let found: Vec<u128> = entries.iter().map(|it| it.request_id.bits()).collect();
                assert_eq!(found, expected);
                self.model.read += found.len() as u64;
            }
            Step::Free => {
                self.reader.free(self.reader.position());
                self.model.ring.retain(|(at, _)| *at > self.model.read);
            }
            Step::Die(broken) => self.die(*broken),
            Step::Update(_) | Step::Finish(_) => {}
        }
        assert_eq!((self.reader.lost(), self.reader.torn()), (self.model.lost, 0));
    }

    /// What dies runs no destructor that writes; the next process takes a file of its own first.
    fn die(&mut self, broken: Option<(usize, u8)>) {
        let path = self.reader.path().to_owned();
        let Model { ring, written, lost, open, .. } = std::mem::take(&mut self.model);
        let mut expected: Vec<_> = ring.iter().map(|(_, id)| (*id, Outcome::Whole)).collect();
        let in_table = open.iter().filter(|(_, has_slot)| *has_slot);
        expected.extend(in_table.map(|(id, _)| (*id, Outcome::Interrupted)));
        self.tickets.clear();
        (self.writer, self.reader) = take(&mut self.folder.open(SHAPE));

        let mut torn = 0;
        if let Some((at, bits)) = broken {
            let mut file = fs::read(&path).unwrap();
            torn = u64::from(forget_broken(&file, at, written, &mut expected));
            // In a number's lowest byte, so that it is none that was ever given: one that was would make
            // what the slot held before whole again, which is a duplicate for the store to know.
            file[HEADER_BYTES + at] ^= if at % ENTRY_BYTES == 0 { bits | 0x80 } else { bits };
            fs::write(&path, &file).unwrap();
        }
        let mut left = open_folder(&self.folder.0, 0, SHAPE).unwrap().leftovers.pop().unwrap();
        assert_eq!(left.path(), path);
        let mut entries = Vec::new();
        while left.read(2, &mut entries) {}
        let mut found: Vec<_> =
            entries.iter().map(|it| (it.request_id.bits(), it.outcome)).collect();
        // Those under way are in the order of their last update.
        let ended = found.iter().filter(|(_, outcome)| *outcome == Outcome::Whole).count();
        found[ended..].sort_unstable_by_key(|(id, _)| *id);
        assert_eq!((found, left.torn(), left.lost()), (expected, torn, lost));
        left.remove().unwrap();
    }
}

/// Takes from `expected` what block the byte is in; whether that shows as torn.
fn forget_broken(
    file: &[u8],
    at: usize,
    written: u64,
    expected: &mut Vec<(u128, Outcome)>,
) -> bool {
    let start = HEADER_BYTES + at / ENTRY_BYTES * ENTRY_BYTES;
    let block: [u8; ENTRY_BYTES] = file[start..start + ENTRY_BYTES].try_into().unwrap();
    let is_slot = at / ENTRY_BYTES < SHAPE.slots as usize;
    if is_slot && block[..8] == [0; 8] {
        return at % ENTRY_BYTES < 8; // a free slot that says it is taken
    }
    let Ok((number, entry)) = Entry::decode(&block) else { return false };
    assert!(is_slot || number <= written);
    let count = expected.len();
    expected.retain(|(id, _)| *id != entry.request_id.bits());
    expected.len() < count
}

fn take(opened: &mut Opened) -> (Writer, Reader) {
    opened.rings.pop().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn pushed_is_read_or_lost_or_torn(steps in prop::collection::vec(step(), 1..60)) {
        let mut run = Run::start(Folder::new("model"));
        steps.iter().for_each(|step| run.step(step));
        run.die(None);
    }
}
