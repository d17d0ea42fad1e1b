//! Files that are not as we left them: read as far as they can be, told, set aside; never a refusal.

use std::fs;

use super::ring::{Folder, begun, ended};
use crate::boundary::ledger::{Shape, entry::ENTRY_BYTES, mapping::HEADER_BYTES, open};

const SHAPE: Shape = Shape { slots: 4, entries: 8 };

/// Two that ended, 1 and 2, and one under way, 3.
fn file() -> Vec<u8> {
    let folder = Folder::new("specimen");
    let (writer, reader) = folder.open(SHAPE).rings.pop().unwrap();
    let _ticket = writer.begin(&begun(3));
    [1, 2].iter().for_each(|id| writer.push(&ended(*id)));
    fs::read(reader.path()).unwrap()
}

/// Which ids a start finds in `file`, and whether it tells of damage.
fn found_in(name: &str, file: &[u8]) -> (Vec<u128>, bool) {
    let folder = Folder::new(name);
    fs::create_dir_all(&folder.0).unwrap();
    fs::write(folder.0.join("core-7.ring"), file).unwrap();
    let opened = open(&folder.0, 2, SHAPE).unwrap();
    let mut entries = Vec::new();
    for mut left in opened.leftovers {
        left.read(usize::MAX, &mut entries);
        left.mark_logged(left.position());
        left.free(left.position());
        left.remove().unwrap();
    }
    let is_aside = folder.0.join("core-7.ring.damaged-1").exists();
    assert_eq!(is_aside, !opened.damaged.is_empty(), "{:?}", opened.damaged);
    assert!(!folder.0.join("core-7.ring").exists());
    (entries.iter().map(|entry| entry.request_id.bits()).collect(), is_aside)
}

#[test]
fn what_can_be_read_is_read() {
    let whole = file();
    let table_end = HEADER_BYTES + 4 * ENTRY_BYTES;
    let changed = |at: usize, byte: u8| {
        let mut file = whole.clone();
        file[at] ^= byte;
        file
    };
    assert_eq!(found_in("whole", &whole), (vec![1, 2, 3], false));
    assert_eq!(found_in("magic", &changed(0, 1)), (vec![1, 2, 3], true));
    assert_eq!(found_in("layout", &changed(8, 3)), (vec![1, 2, 3], true));
    assert_eq!(found_in("shape", &changed(30, 1)), (vec![1, 2, 3], true));
    assert_eq!(found_in("check", &changed(40, 1)), (vec![1, 2, 3], true));
    assert_eq!(found_in("cut-ring", &whole[..table_end + ENTRY_BYTES + 9]), (vec![1, 3], true));
    assert_eq!(found_in("cut-table", &whole[..table_end - 1]), (vec![3], true));
    assert_eq!(found_in("cut-header", &whole[..100]), (vec![], true));
    assert_eq!(found_in("longer", &[&whole[..], b"more"].concat()), (vec![1, 2, 3], true));
    assert_eq!(found_in("text", b"not a ledger"), (vec![], true));
    // A start that was killed while it made its file: nothing to keep.
    assert_eq!(found_in("empty", b""), (vec![], false));
    assert_eq!(found_in("zeroes", &[0; 9000]), (vec![], false));
}

#[test]
fn counters_that_lie_lose_nothing() {
    let whole = file();
    for at in [128, 256, 264] {
        let mut file = whole.clone();
        file[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(found_in("counters", &file), (vec![1, 2, 3], false), "byte {at}");
    }
}

#[test]
fn a_start_passes_what_is_no_file() {
    let folder = Folder::new("odd");
    fs::create_dir_all(folder.0.join("core-0.ring")).unwrap();
    fs::create_dir_all(folder.0.join("core-x.ring")).unwrap();
    let opened = open(&folder.0, 1, SHAPE).unwrap();
    assert_eq!((opened.rings.len(), opened.leftovers.len(), opened.damaged.len()), (1, 0, 1));
    assert!(opened.damaged[0].to_string().contains("core-0.ring"));
    assert!(opened.rings[0].1.path().ends_with("core-1.ring"));
}

#[test]
fn after_a_power_failure_pages_are_of_different_ages() {
    // Twelve entries through a ring of eight, of which six were freed; then the header is as it was.
    let folder = Folder::new("power");
    let (writer, mut reader) = folder.open(SHAPE).rings.pop().unwrap();
    let old_header = fs::read(reader.path()).unwrap()[..HEADER_BYTES].to_vec();
    (1..=8).for_each(|id| writer.push(&ended(id)));
    reader.read(6, &mut Vec::new());
    reader.free(6);
    (9..=12).for_each(|id| writer.push(&ended(id)));
    let mut file = fs::read(reader.path()).unwrap();
    file[..HEADER_BYTES].copy_from_slice(&old_header);
    // 5 and 6 were freed, which the old header does not know: they are recorded twice, which changes nothing.
    assert_eq!(found_in("old-header", &file), ((5..=12).collect(), false));
    // The page with 7 and 8 never reached the disk: those behind it are found.
    let seven = HEADER_BYTES + (4 + 6) * ENTRY_BYTES;
    file[seven..seven + 2 * ENTRY_BYTES].fill(0);
    assert_eq!(found_in("old-page", &file), (vec![5, 6, 9, 10, 11, 12], false));
    drop((writer, reader));
    let path = folder.0.join("core-0.ring");
    let mut file = fs::read(&path).unwrap();
    file[seven..seven + 2 * ENTRY_BYTES].fill(0);
    fs::write(&path, file).unwrap();
    let left = open(&folder.0, 0, SHAPE).unwrap().leftovers.pop().unwrap();
    assert_eq!((left.depth(), left.torn()), (4, 2));
}
